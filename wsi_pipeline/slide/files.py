"""Which files make up one slide, and the hash that identifies it."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from wsi_pipeline.errors import StoppedError, UnsupportedSlideError
from wsi_pipeline.slide.integrity import is_dicom

#: Bytes read at a time, into the same memory: they stay in a core's cache until they are hashed.
_BLOCK = 2**20
#: Suffixes of whole slides; in folders only these are taken for slides.
SLIDE_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".btf", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide"}
    | {".czi"}
)
#: Of regions of interest, which are slides where they are named, not where a folder is.
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
#: Formats whose data lie in a folder named like the file.
_COMPANION_FOLDER_SUFFIXES = {".mrxs"}


def slide_name(path: Path) -> str:
    """What a slide is called: its file's name without suffix, or its folder's."""
    return path.name if path.is_dir() else path.stem


def slide_files(path: Path) -> tuple[Path, ...]:
    """The files of a slide, the one to open first.

    A DICOM slide is every ``.dcm`` of the same series in its folder; an MRXS slide is its index
    and the folder beside it; a folder is a slide if it holds DICOM files, or one MRXS slide.

    Raises:
        UnsupportedSlideError: there is nothing at ``path``, or it is another folder.
    """
    if path.is_dir():
        items = sorted(path.iterdir())
        first = next((file for file in items if _is_dicom_file(file)), None)
        indexes = [file for file in items if file.suffix.lower() in _COMPANION_FOLDER_SUFFIXES]
        if first is None and len(indexes) == 1 and indexes[0].is_file():
            first = indexes[0]
        if first is None:
            raise UnsupportedSlideError(path, "is a folder, not a slide, and holds no DICOM files")
        return slide_files(first)
    if not path.is_file():
        raise UnsupportedSlideError(path, "no such file")
    if path.suffix.lower() in _COMPANION_FOLDER_SUFFIXES:
        folder = path.with_suffix("")
        inside = sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else []
        if not inside:
            raise UnsupportedSlideError(path, f"its folder {folder.name}/ is missing beside it")
        return (path, *inside)
    if is_dicom(path):
        series = dicom_series(path)
        same = [f for f in sorted(path.parent.iterdir()) if f != path and _is_dicom_file(f)]
        return (path, *(f for f in same if series is not None and dicom_series(f) == series))
    return (path,)


def is_one_file(path: Path) -> bool:
    """Whether a slide is certainly this file alone, as far as its name and first bytes tell."""
    try:
        several = path.suffix.lower() in _COMPANION_FOLDER_SUFFIXES
        return path.is_file() and not several and not is_dicom(path)
    except OSError:
        return False


def dicom_series(path: Path) -> str | None:
    """The series a DICOM file belongs to, None if it cannot be told."""
    from wsi_pipeline.slide import dicom  # noqa: PLC0415 - see there

    return dicom.series_of(path)


def slide_sha256(files: Iterable[Path], stopped: Callable[[], bool] = lambda: False) -> str:
    """SHA-256 (hex) that identifies a slide.

    Of one file: of its bytes. Of several: of the lines ``<sha256>  <name>`` of each, sorted by
    name, with the names relative to the common folder.

    Args:
        files: Of the slide.
        stopped: Asked between blocks.

    Raises:
        StoppedError: ``stopped`` became true.
    """
    several = sorted(files)
    if len(several) == 1:
        return _file_sha256(several[0], stopped)
    folder = min((file.parent for file in several), key=lambda parent: len(parent.parts))
    lines = (f"{_file_sha256(file, stopped)}  {file.relative_to(folder)}\n" for file in several)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file_sha256(path: Path, stopped: Callable[[], bool]) -> str:
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            if stopped():
                raise StoppedError("stopped; the slide was not hashed to its end")
            digest.update(block[:count])
    return digest.hexdigest()


def _is_dicom_file(path: Path) -> bool:
    return path.is_file() and is_dicom(path)
