"""One uploaded slide's check: fetched, unpacked, tried, hashed, stored, accepted or rejected.

Every step can be repeated: the uploaded file stays where it is until the slide is accepted or
rejected, so a check that was cut short anywhere begins again with it.

Slides with the same bytes stay separate entries, each with its own name, state and jobs, as each
was asked for; but the bytes are kept once, whoever uploaded them, and identical work on any of
them is done once, because results go by the bytes' SHA-256.
"""

import errno
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from api.dependencies import Services
from api.problems import as_json, kind_of
from api.slides.links import OBJECT
from wsi_pipeline.errors import DamagedSlideError, SlideError
from wsi_pipeline.service.slides import LINKED, Slide, SlideState
from wsi_pipeline.slide.bundle import BundleLimits, is_zip, unpack
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.slide.integrity import is_dicom, is_tiff
from wsi_pipeline.slide.probe import Probe, ProbeLimits, Prober
from wsi_pipeline.slide.sandbox import Sandbox

log = logging.getLogger(__name__)

_COPY_BYTES = 8 * 2**20
#: Least speed of unpacking, bytes per second, on a slow disk.
_UNPACK_SPEED = 8 * 2**20
#: Endings that stored files may have; others are named by what they are.
_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".btf", ".ndpi", ".scn", ".bif", ".svslide", ".mrxs", ".dcm"}
    | {".czi", ".png", ".jpg", ".jpeg"}
)


@dataclass(frozen=True, slots=True)
class _Found:
    """A slide's files as they are to be kept: one, or a folder of them."""

    path: Path
    files: tuple[Path, ...]
    unpacked_bytes: int | None = None


class Inspector:
    """Inspects slides, several at a time where threads call it side by side.

    Args:
        services: The application's parts.
        sandbox: Where strangers' files are opened.
    """

    def __init__(self, services: Services, sandbox: Sandbox) -> None:
        self._services = services
        self._links = services.links
        settings = services.settings
        self._limits = ProbeLimits(settings.check_seconds, settings.check_memory_bytes)
        self._sandbox = sandbox
        self._prober = Prober(self._limits, sandbox)
        self._keeping = _Alone()

    def inspect(self, slide: Slide) -> None:
        """Accept or reject a slide; what it was made of is removed then.

        Raises:
            Exception: it could not be checked, for no fault of the slide's: try again.
        """
        folder = self._services.upload_files.path(f"{slide.id}.check")
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            self._check(slide, folder)
        except SlideError as error:
            # Why, in words without paths and names; these are for the user, not for the log.
            problem = as_json(kind_of(error), _without_paths(error, slide, folder))
            self._services.slides.reject(slide.id, problem)
            log.info("slide rejected", extra={"facts": {"problem": problem["type"]}})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._remove_source(slide)

    def _check(self, slide: Slide, folder: Path) -> None:
        source = slide.source or ""
        if source.startswith(LINKED):
            self._check_linked(slide, Path(source.removeprefix(LINKED)))
            return
        path = Path(source)
        if source.startswith(OBJECT):
            path = self._services.upload_files.path(slide.id)
            self._fetch(source, path)
        found = self._arrange(slide, path, folder)
        # Before its bytes are hashed: a large file that is no slide is soon known.
        probe = self._prober(found.path)
        sha256 = slide_sha256(found.files)
        with self._keeping.of(sha256):
            self._keep(slide, found, sha256, probe)

    def _check_linked(self, slide: Slide, path: Path) -> None:
        # Allowed when it was named; what lies there now counts.
        if path.resolve() != path or not self._links.files_of(path):
            raise DamagedSlideError(path, "the file was moved, or may not be read")
        probe = self._prober(path)
        files = slide_files(path)
        allowed = {file for one in files for file in self._links.files_of(one)}
        if not {file.resolve() for file in files} <= allowed:
            raise DamagedSlideError(path, "one of its files is a link to somewhere else")
        self._services.slides.accept(
            slide.id,
            location=LINKED + str(path),
            sha256=slide_sha256(files),
            info=_info(probe),
            size_bytes=sum(file.stat().st_size for file in files),
        )

    def _fetch(self, uri: str, path: Path) -> None:
        """Copy an object into the spool."""
        place = self._links.storage_of(uri)
        if place is None:
            raise DamagedSlideError(path, "its bucket may not be read any more")
        storage, key = place
        found = storage.stat(key)
        if found is None:
            raise DamagedSlideError(path, "the object is no longer there")
        # Anew: after a kill the old file may be the stored one under a second name.
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            for start in range(0, found.size_bytes, _COPY_BYTES):
                length = min(_COPY_BYTES, found.size_bytes - start)
                file.write(storage.read(key, start, length))
        after = storage.stat(key)
        if after != found or path.stat().st_size != found.size_bytes:
            raise OSError(errno.EAGAIN, "the object changed while it was read")

    def _arrange(self, slide: Slide, path: Path, folder: Path) -> _Found:
        """Give the slide a folder of its own: readers look at what lies beside a file."""
        if is_zip(path):
            size = path.stat().st_size
            room = self._services.uploads.room(slide.workspace_id)
            limits = BundleLimits(
                bytes=min(room + size, self._services.uploads.max_bytes),
                seconds=self._limits.seconds + size / _UNPACK_SPEED,
                memory=self._limits.memory,
            )
            bundle = unpack(path, folder / "bundle", limits, self._sandbox)
            if len(bundle.files) > 1 or is_dicom(bundle.path):
                return _Found(folder / "bundle", bundle.files, bundle.size_bytes)
            return _Found(bundle.path, bundle.files, bundle.size_bytes)
        if is_dicom(path):
            # As a folder: in any other one it might meet files of its series.
            (folder / "bundle").mkdir()
            file = _linked(path, folder / "bundle" / "00001.dcm")
            return _Found(folder / "bundle", (file,))
        file = _linked(path, folder / f"slide{_suffix(slide.name, path)}")
        return _Found(file, (file,))

    def _keep(self, slide: Slide, found: _Found, sha256: str, probe: Probe) -> None:
        services = self._services
        accept = partial(
            services.slides.accept,
            slide.id,
            sha256=sha256,
            info=_info(probe),
            size_bytes=found.unpacked_bytes,
        )
        known = services.slides.known(sha256)
        if known and self._is_kept(known) and accept(location=known, shared=True):
            log.info("slide accepted", extra={"facts": {"same_bytes": True}})
            return
        # A key of its own: the deletion of another slide can never take it along.
        whole = found.path.is_dir()
        name = "bundle" if whole else f"slide{_suffix(found.path.name, found.path)}"
        key = f"slides/{sha256}/{slide.id}/{name}"
        if whole:
            services.storage.put_tree(key, found.path, move=True)
        else:
            services.storage.put_file(key, found.path, move=True)
        if accept(location=key):
            log.info("slide accepted", extra={"facts": {"same_bytes": False}})
        elif services.slides.state_of(slide.id) is SlideState.DELETED:
            services.storage.delete(key)

    def _is_kept(self, key: str) -> bool:
        storage = self._services.storage
        return storage.stat(key) is not None or storage.has_tree(key)

    def _remove_source(self, slide: Slide) -> None:
        """Remove uploaded or fetched bytes; if that is not reached, the next cleaning does."""
        source = slide.source or ""
        if source.startswith(OBJECT):
            self._services.upload_files.remove(slide.id)
        elif not source.startswith(LINKED):
            Path(source).unlink(missing_ok=True)


class _Alone:
    """Lets one at a time do what concerns the same bytes, so that they are stored once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: set[str] = set()

    @contextmanager
    def of(self, sha256: str) -> Iterator[None]:
        """Wait until nobody else is at these bytes."""
        with self._changed:
            self._changed.wait_for(lambda: sha256 not in self._taken)
            self._taken.add(sha256)
        try:
            yield
        finally:
            with self._changed:
                self._taken.remove(sha256)
                self._changed.notify_all()


def _info(probe: Probe) -> dict[str, object]:
    """Facts as they are kept: without the path, with what the probe saw."""
    info = probe.info.to_json()
    del info["path"]
    if probe.unreadable:
        seen = f"{probe.unreadable} of {probe.sampled} sampled places cannot be decoded"
        info["warnings"] = [*info["warnings"], seen]
    return info


def _linked(path: Path, target: Path) -> Path:
    """The same file under another name, or a copy where a disk knows no second names."""
    try:
        target.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, target)
    return target


def _suffix(name: str, path: Path) -> str:
    suffix = Path(name).suffix.lower()
    if suffix in _SUFFIXES:
        return suffix
    return ".tiff" if is_tiff(path) else ".slide"


def _without_paths(error: SlideError, slide: Slide, folder: Path) -> str:
    """Why a slide was rejected, without a path of the server or a name of a file."""
    # Uploaded bytes have names of ours here; only a linked file is met under its own.
    path = Path((slide.source or "").removeprefix(LINKED))
    text = error.cause.replace(str(folder), "the file").replace(str(path), "the file")
    if (slide.source or "").startswith(LINKED):
        text = text.replace(path.name, "the file").replace(f"{path.stem}/", "")
    return " ".join(text.split())
