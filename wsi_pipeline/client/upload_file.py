"""A slide as one file to send: as it is, or several files in a ZIP."""

import hashlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.errors import UsageError

#: The earliest time a ZIP can state: the same files make the same ZIP, so that it can be resumed.
_TIME = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 2**20
_MRXS = ".mrxs"


@dataclass(frozen=True, slots=True)
class UploadFile:
    """What is sent.

    Attributes:
        file: The bytes.
        name: What the service shall call it.
        state: Changes when the slide's files do, as ``UploadKey`` wants it.
    """

    file: Path
    name: str
    state: str


@contextmanager
def upload_file(path: Path, name: str | None = None) -> Iterator[UploadFile]:
    """A slide ready to be sent; what had to be packed is removed afterwards.

    A folder (DICOM) and an MRXS file with its folder become an uncompressed ZIP in the folder for
    temporary files (``TMPDIR``), which takes as much room as they do.

    Args:
        path: A slide file, or a folder.
        name: What to call it; None takes the file's or folder's name.

    Raises:
        UsageError: there is nothing at ``path``, part of the slide is missing, or a name is no
            text.
    """
    files = _files(path)
    for file in files:
        # File systems keep names as bytes; Python shows those that are no text as surrogates.
        if re.search("[\ud800-\udfff]", file):
            raise UsageError(f"{file!a}: the name is not text in UTF-8; rename the file")
    state = _state(files)
    called = name or path.resolve().name
    if list(files) == [path.name]:
        yield UploadFile(path, called, state)
        return
    with tempfile.TemporaryDirectory(prefix="wsi-upload-") as folder:
        packed = Path(folder) / "slide.zip"
        _pack(files, packed)
        yield UploadFile(packed, called if called.endswith(".zip") else f"{called}.zip", state)


def _files(path: Path) -> dict[str, Path]:
    """The slide's files by their names in the ZIP."""
    if path.is_dir():
        root = path.resolve()
        found = {
            f"{root.name}/{file.relative_to(path).as_posix()}": file
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        }
        if not found:
            raise UsageError(f"{path} is a folder without files")
        return found
    if not path.is_file():
        raise UsageError(f"there is no slide {path}")
    if path.suffix.lower() != _MRXS:
        return {path.name: path}
    companion = path.with_suffix("")
    inside = sorted(file for file in companion.rglob("*") if file.is_file())
    if not inside:
        raise UsageError(f"{path} needs its folder {companion.name}/ beside it")
    return {
        path.name: path,
        **{f"{companion.name}/{file.relative_to(companion).as_posix()}": file for file in inside},
    }


def _state(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, file in files.items():
        stat = file.stat()
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _pack(files: dict[str, Path], target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.file_size = file.stat().st_size
            with file.open("rb") as source, archive.open(entry, "w") as packed:
                shutil.copyfileobj(source, packed, _COPY_BYTES)
