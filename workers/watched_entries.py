"""What lies in a watched folder, by the rules of ``wsi run``, and how to tell that it changed."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from workers.watched_files import FAILURE_SUFFIX, Look
from wsi_pipeline.run.inputs import Entry, expand
from wsi_pipeline.slide.files import slide_name
from wsi_pipeline.stitch.layout import SUFFIX

_MRXS = ".mrxs"
_DICOM = frozenset({"", ".dcm", ".dicom"})


@dataclass(frozen=True, slots=True)
class WatchedEntry:
    """A slide in a watched folder.

    Attributes:
        path: Of the file, or of the folder of DICOM files.
        look: What it looks like; None while it is empty, or cannot be read.
        name: Of its result within the tree, without suffix.
    """

    path: Path
    look: Look | None
    name: Path

    @property
    def is_text(self) -> bool:
        """Whether a database can keep the path: file systems allow bytes that are no characters."""
        try:
            str(self.path).encode()
        except UnicodeEncodeError:
            return False
        return True

    def result(self, tree: Path) -> Path:
        """Where its result goes."""
        return tree / self.name.with_name(self.name.name + SUFFIX)

    def failure(self, tree: Path) -> Path:
        """Where it is said why there is no result."""
        return tree / self.name.with_name(self.name.name + FAILURE_SUFFIX)


def entries(folder: Path) -> dict[str, WatchedEntry]:
    """The slides in a folder and below it, by their paths.

    Masks, hidden files, results and what is no slide by its name are passed over, and so are links
    that lead out of the folder: who may put a file here may not thereby read others.

    Raises:
        OSError: the folder cannot be looked through; it may be on a network drive that is away.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - absolute, but links stay links
    inside = folder.resolve(strict=True)
    found = {}
    for entry in expand([str(folder)]).slides:
        if not entry.path.resolve().is_relative_to(inside) or not _is_plain(entry):
            continue
        found[str(entry.path)] = WatchedEntry(entry.path, look(entry.path), entry.name)
    return found


def entry_of(path: Path, folder: Path) -> WatchedEntry:
    """The entry of a file that is not there any more."""
    place = path.relative_to(folder).parent
    return WatchedEntry(path, None, place / slide_name(path))


def look(path: Path) -> Look | None:
    """What all files of a slide look like from outside, None while one is empty or unreadable."""
    size, modified = 0, 0.0
    try:
        for file in _files(path):
            # Opened, not only asked about: over NFS that fetches what other hosts wrote.
            with file.open("rb") as opened:
                found = os.fstat(opened.fileno())
            if found.st_size == 0 and file == path:
                return None
            size, modified = size + found.st_size, max(modified, found.st_mtime)
    except OSError:
        return None
    return Look(size, modified) if size else None


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.iterdir()) if _is_file(file)]
    suffix = path.suffix.lower()
    if suffix == _MRXS:
        return [path, *(f for f in sorted(path.with_suffix("").rglob("*")) if f.is_file())]
    if suffix in _DICOM:
        # Files of a series come one by one; any of them in this folder may be the next.
        beside = sorted(path.parent.iterdir())
        return [f for f in beside if f.suffix.lower() in _DICOM and _is_file(f)]
    return [path]


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _is_plain(entry: Entry) -> bool:
    """Neither a device or pipe, nor a folder that is only called like a slide."""
    try:
        mode = entry.path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        return not entry.path.suffix
    return stat.S_ISREG(mode)
