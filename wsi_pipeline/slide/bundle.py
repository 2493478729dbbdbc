"""Slides of several files as one ZIP: unpacked in a child process with limits, then tidied.

A ZIP can lie about everything: how much it unpacks to, how many files it holds, where they go.
So it is unpacked by a child that may use so much memory and time, into an empty folder, and gives
up at the first entry that is not plainly a file inside it.

What comes out is one slide under names of ours: ``slide.mrxs`` and ``slide/``, or ``00001.dcm``,
``00002.dcm`` … in the order of their names. File names of hospitals hold names of patients, and
nothing reads them here.
"""

import contextlib
import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from typing import Any

from wsi_pipeline import durable, errors
from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.slide.files import dicom_series
from wsi_pipeline.slide.integrity import is_dicom
from wsi_pipeline.slide.sandbox import CrashError, Limits, Sandbox

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_COPY_BYTES = 2**20
#: Left free on the disk for everything else.
_SPARE_BYTES = 64 * 2**20
_MAX_DEPTH = 16
_MAX_NAME_BYTES = 255
_ENCRYPTED = 0x1
#: What operating systems leave in every folder.
_LITTER = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_MRXS = ".mrxs"
#: The machine's failures, not the ZIP's.
_DISK_TROUBLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
    | {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """What a ZIP may come to.

    Attributes:
        bytes: Of all files together, unpacked.
        files: How many there may be.
        ratio: Unpacked bytes for each byte of the ZIP; slides are compressed already.
        free_bytes: So much is unpacked whatever the ratio.
        seconds: Wall-clock time.
        memory: Address space of the child in bytes.
    """

    bytes: int = 64 * 2**30
    files: int = 20_000
    ratio: float = 100.0
    free_bytes: int = 64 * 2**20
    seconds: float = 3600.0
    memory: int = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Bundle:
    """One unpacked slide.

    Attributes:
        path: What is opened: a file if the slide is one file, else a folder.
        files: Its files.
        size_bytes: Of them together.
    """

    path: Path
    files: tuple[Path, ...]
    size_bytes: int


def is_zip(path: Path) -> bool:
    """Whether a file starts as a ZIP does; no slide format does."""
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def unpack(
    archive: Path,
    folder: Path,
    limits: BundleLimits | None = None,
    sandbox: Sandbox | None = None,
) -> Bundle:
    """Unpack the slide in a ZIP.

    Args:
        archive: The ZIP.
        folder: Made; holds the slide's files afterwards, and parts of them after an error.
        limits: What the ZIP may come to.
        sandbox: Does the unpacking; None starts one for it.

    Raises:
        UnsupportedSlideError: the ZIP holds something else than one slide, or what no honest ZIP
            of a slide holds.
        DamagedSlideError: it is damaged, or the child crashed or exceeded its limits.
        OSError: the disk has no room for it, or failed otherwise; the ZIP may be sound.
    """
    limits = limits or BundleLimits()
    arguments = {"archive": str(archive), "folder": str(folder), "limits": asdict(limits)}
    allowed = Limits(limits.seconds, limits.memory)
    try:
        with contextlib.ExitStack() as own:
            used = sandbox or own.enter_context(Sandbox(__name__))
            answer = used.call(extract, arguments, allowed)
    except CrashError as error:
        cause = f"unpacking it {error}; the ZIP is damaged or malicious"
        raise DamagedSlideError(archive, cause) from error
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    if "error" in answer:
        raise getattr(errors, answer["error"])(archive, answer["cause"])
    files = tuple(folder / name for name in answer["files"])
    path = files[0] if len(files) == 1 else folder
    return Bundle(path, files, sum(file.stat().st_size for file in files))


def _entries(archive: zipfile.ZipFile, size: int, limits: BundleLimits) -> list[zipfile.ZipInfo]:
    """The files worth unpacking, after every promise of the directory was checked."""
    entries = archive.infolist()
    if len(entries) > limits.files:
        raise _Refused(f"it holds {len(entries):,} entries, more than the {limits.files:,} allowed")
    wanted: list[zipfile.ZipInfo] = []
    seen: set[str] = set()
    for entry in entries:
        place = _place(entry)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _Refused("it holds a link or a device; a slide is made of files only")
        if entry.is_dir() or _LITTER.intersection(place.parts):
            continue
        if entry.flag_bits & _ENCRYPTED:
            raise _Refused("it is encrypted; send it without a password")
        if entry.compress_type not in _METHODS:
            raise _Refused("it is compressed in an unusual way; use deflate, or none")
        if str(place) in seen:
            raise _Refused("it holds two files of one name")
        seen.add(str(place))
        wanted.append(entry)
    total = sum(entry.file_size for entry in wanted)
    if total > limits.bytes:
        raise _Refused(f"it unpacks to {total:,} bytes, more than the {limits.bytes:,} allowed")
    if total > max(limits.free_bytes, limits.ratio * size):
        raise _Refused(f"it unpacks to {total:,} bytes from {size:,}; no slide shrinks like that")
    return wanted


def _place(entry: zipfile.ZipInfo) -> PurePosixPath:
    """Where an entry goes, relative to the folder; only plain paths below it are taken."""
    # What was in the directory: ``filename`` is cut at a NUL.
    parts = entry.orig_filename.removesuffix("/").split("/")
    plain = all(
        part not in ("", ".", "..")
        and part.isprintable()
        and "\\" not in part
        and len(part.encode("utf-8", "surrogatepass")) <= _MAX_NAME_BYTES
        for part in parts
    )
    drive = len(parts[0]) > 1 and parts[0][1] == ":"
    if not plain or drive or len(parts) > _MAX_DEPTH:
        raise _Refused("it holds a name that does not stay inside its folder")
    return PurePosixPath(*parts)


class _Refused(Exception):  # noqa: N818 - not a failure: the ZIP is not taken
    """Why a ZIP is not taken."""


def _extract(archive: Path, folder: Path, limits: BundleLimits) -> None:
    with zipfile.ZipFile(archive) as zipped:
        entries = _entries(zipped, archive.stat().st_size, limits)
        # Before a byte is written: a disk that is filled first fails everybody else meanwhile.
        if sum(entry.file_size for entry in entries) + _SPARE_BYTES > disk_usage(folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for entry in entries:
            target = folder / _place(entry)
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(entry) as source, target.open("xb") as file:
                # Never more than was promised and checked above.
                left = entry.file_size
                while left and (block := source.read(min(_COPY_BYTES, left))):
                    file.write(block)
                    left -= len(block)
                if left or source.read(1):
                    raise zipfile.BadZipFile("an entry has another length than it says")


def _arrange(raw: Path, folder: Path) -> Iterator[str]:
    """Move the one slide among unpacked files into ``folder``; its files' names, relative."""
    files = sorted(path for path in raw.rglob("*") if path.is_file())
    indexes = [path for path in files if path.suffix.lower() == _MRXS]
    if len(indexes) > 1:
        raise _Refused("it holds several slides; send each in a ZIP of its own")
    if indexes:
        companion = indexes[0].with_suffix("")
        inside = [path for path in files if companion in path.parents]
        if not inside:
            raise _Refused("it holds an .mrxs file without the folder of the same name beside it")
        yield _move(indexes[0], folder, "slide.mrxs")
        for path in inside:
            yield _move(path, folder, f"slide/{path.relative_to(companion)}")
        return
    dicom = [path for path in files if is_dicom(path)]
    if dicom:
        if len({dicom_series(path) for path in dicom}) > 1:
            raise _Refused("it holds several DICOM series; send each in a ZIP of its own")
        for number, path in enumerate(dicom, 1):
            yield _move(path, folder, f"{number:05}.dcm")
        return
    if len(files) != 1:
        what = f"{len(files):,} files that are no slide of several files" if files else "no file"
        raise _Refused(f"it holds {what}; MRXS with its folder and DICOM are")
    suffix = files[0].suffix.lower()
    yield _move(files[0], folder, f"slide{suffix if suffix[1:].isalnum() else ''}")


def _move(path: Path, folder: Path, name: str) -> str:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    durable.sync(target)
    return name


def _work(archive: Path, folder: Path, limits: BundleLimits) -> dict[str, object]:
    raw = folder.with_name(f"{folder.name}.raw")
    try:
        raw.mkdir(parents=True)
        folder.mkdir()
    except OSError as error:
        return {"errno": error.errno}
    try:
        _extract(archive, raw, limits)
        return {"files": list(_arrange(raw, folder))}
    except _Refused as error:
        return {"error": UnsupportedSlideError.__name__, "cause": f"as a ZIP, {error}"}
    except SlideError as error:
        return {"error": type(error).__name__, "cause": error.cause}
    except OSError as error:
        if error.errno in _DISK_TROUBLE:
            return {"errno": error.errno}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError):
        pass  # their texts quote names of files
    cause = "the ZIP is damaged or incomplete; pack and upload it again"
    return {"error": DamagedSlideError.__name__, "cause": cause}


def extract(archive: str, folder: str, limits: dict[str, Any]) -> dict[str, object]:
    """What a sandbox does for :func:`unpack`: names of files or an error, as JSON."""
    return _work(Path(archive), Path(folder), BundleLimits(**limits))
