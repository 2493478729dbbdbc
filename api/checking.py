"""What becomes of uploaded bytes: a thread that hashes, tries, stores and accepts or rejects.

Every step can be repeated: the uploaded file stays where it is until the slide is accepted or
rejected, so a server killed anywhere in between begins again with it. Several processes share
the work by a lock file for each slide.

Slides with the same bytes stay separate entries, each with its own name, state and jobs, as each
was asked for; but the bytes are kept once, whoever uploaded them, and identical work on any of
them is done once, because results go by the bytes' SHA-256.
"""

import errno
import fcntl
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from starlette.requests import Request

from api.links import OBJECT
from api.problems import as_json, kind_of
from api.services import Services
from wsi_pipeline.errors import DamagedSlideError, SlideError
from wsi_pipeline.jobs.logs import bound
from wsi_pipeline.jobs.slides import LINKED, Slide, SlideState
from wsi_pipeline.slide.bundle import BundleLimits, is_zip, unpack
from wsi_pipeline.slide.files import slide_files, slide_sha256
from wsi_pipeline.slide.integrity import is_dicom, is_tiff
from wsi_pipeline.slide.probe import Probe, ProbeLimits, Prober

log = logging.getLogger(__name__)

#: How often slides of other processes, and ended uploads, are looked for, seconds.
_LOOK_SECONDS = 2.0
_SWEEP_SECONDS = 60.0
#: After a failure that is not the slide's, seconds; doubled each time up to the last.
_RETRY_SECONDS, _RETRY_MOST_SECONDS = 5.0, 600.0
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


class Checker:
    """Checks slides in a thread of its own, one at a time.

    Args:
        services: The application's parts.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        settings = services.settings
        self._links = services.links
        self._limits = ProbeLimits(settings.check_seconds, settings.check_memory_bytes)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A child may take minutes; a check that is abandoned is done again after the next start.
        self._thread = threading.Thread(target=self._run, name="checker", daemon=True)
        #: Slides that could not be checked for no fault of theirs: not before, and how long then.
        self._later: dict[str, tuple[float, float]] = {}

    @staticmethod
    def of(request: Request) -> "Checker":
        """The application's, for routes."""
        return cast("Checker", request.app.state.checker)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Begin nothing more, and wait so long for what has begun."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def wake(self) -> None:
        """There is something to check; need not be called, but saves waiting."""
        self._wake.set()

    def check_all(self) -> int:
        """Check every slide that waits and is this host's; returns how many were."""
        checked = 0
        waiting = self._services.slides.checking()
        self._later = {s.id: self._later[s.id] for s in waiting if s.id in self._later}
        for slide in waiting:
            if self._stopping.is_set():
                break
            if self._later.get(slide.id, (0.0, 0.0))[0] > time.monotonic():
                continue
            with self._locked(slide.id) as mine:
                if mine and self._here(slide):
                    checked += self._check_once(slide)
        return checked

    def clean(self) -> None:
        """End uploads nobody continued, and remove files nobody needs."""
        self._services.uploads.expire()
        waste = self._services.spool.sweep(self._services.uploads.spooled)
        if waste:
            log.info("removed from the spool", extra={"facts": {"files": len(waste)}})

    def _run(self) -> None:
        cleaned_at = float("-inf")
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if time.monotonic() - cleaned_at > _SWEEP_SECONDS:
                    self.clean()
                    cleaned_at = time.monotonic()
                self.check_all()
            except Exception:  # the database may be away; this thread must not end
                if not self._stopping.is_set():
                    log.exception("checking slides failed; it goes on")
            self._wake.wait(_LOOK_SECONDS)

    def _check_once(self, slide: Slide) -> int:
        folder = self._services.spool.path(f"{slide.id}.check")
        with bound(slide_id=slide.id):
            try:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(mode=0o700)
                self._check(slide, folder)
            except SlideError as error:
                # Why, in words without paths and names; these are for the user, not for the log.
                problem = as_json(kind_of(error), _without_paths(error, slide, folder))
                self._services.slides.reject(slide.id, problem)
                log.info("slide rejected", extra={"facts": {"problem": problem["type"]}})
            except Exception:  # neither disk nor storage failing makes the slide a bad one
                wait = min(2 * self._later.get(slide.id, (0, 0))[1], _RETRY_MOST_SECONDS)
                wait = max(wait, _RETRY_SECONDS)
                self._later[slide.id] = time.monotonic() + wait, wait
                if not self._stopping.is_set():
                    log.exception("slide cannot be checked now; it is tried again")
                return 0
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            self._remove_source(slide)
            return 1

    def _check(self, slide: Slide, folder: Path) -> None:
        source = slide.source or ""
        if source.startswith(LINKED):
            self._check_linked(slide, Path(source.removeprefix(LINKED)))
            return
        path = Path(source)
        if source.startswith(OBJECT):
            path = self._services.spool.path(slide.id)
            self._fetch(source, path)
        found = self._arrange(slide, path, folder)
        sha256 = slide_sha256(found.files)
        probe = self._probe(found.path)
        self._keep(slide, found, sha256, probe)

    def _check_linked(self, slide: Slide, path: Path) -> None:
        # Allowed when it was named; what lies there now counts.
        if path.resolve() != path or not self._links.files_of(path):
            raise DamagedSlideError(path, "it is no longer where it was, or may not be read")
        probe = self._probe(path)
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
            bundle = unpack(path, folder / "bundle", limits)
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

    def _probe(self, path: Path) -> Probe:
        with Prober(self._limits) as prober:
            return prober(path)

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

    def _here(self, slide: Slide) -> bool:
        """Whether the bytes can be reached from this host."""
        source = slide.source or ""
        if source.startswith((LINKED, OBJECT)) or Path(source).is_file():
            return True
        if slide.id not in self._later:
            log.warning("slide waits on another host", extra={"facts": {"slide_id": slide.id}})
        self._later[slide.id] = time.monotonic() + _RETRY_MOST_SECONDS, _RETRY_MOST_SECONDS
        return False

    def _remove_source(self, slide: Slide) -> None:
        """Remove uploaded or fetched bytes; if that is not reached, the next cleaning does."""
        source = slide.source or ""
        if source.startswith(OBJECT):
            self._services.spool.remove(slide.id)
        elif not source.startswith(LINKED):
            Path(source).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, slide_id: str) -> Iterator[bool]:
        """Hold a slide against other processes; False if one has it or is through with it."""
        path = self._services.spool.path(f"{slide_id}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            yield False
            return
        try:
            # Whoever had it before may have finished since the list was made.
            yield self._services.slides.state_of(slide_id) is SlideState.CHECKING
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _info(probe: Probe) -> dict[str, object]:
    """Facts as they are kept: without the path, with what the probe saw."""
    info = probe.info.to_json()
    del info["path"]
    if probe.info.colours_corrected:
        corrected = f"its colours are corrected: {probe.info.colours_corrected}"
        info["warnings"] = [*info["warnings"], corrected]
    if probe.unreadable:
        seen = f"{probe.unreadable} of {probe.sampled} places looked at cannot be decoded"
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
