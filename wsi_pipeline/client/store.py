"""Fetched ZIPs as folders; a result is unpacked beside its place, hashed again, then moved."""

import stat
import zipfile
from pathlib import Path, PurePosixPath

from wsi_pipeline import durable
from wsi_pipeline.client.errors import TransferError
from wsi_pipeline.errors import ResultError


def unpack_store(packed: Path, target: Path) -> None:
    """Unpack a result; it appears under its name when every array in it has its hash.

    Args:
        packed: The ZIP, with the store's root as its root.
        target: The folder to be made.

    Raises:
        TransferError: the ZIP, or the result in it, is damaged.
    """
    with durable.replacing_folder(target, replace=False) as new:
        unpack(packed, new)
        # Imported here: it brings NumPy and Zarr, which nothing else of the client needs.
        from wsi_pipeline.stitch.verification import verify  # noqa: PLC0415

        try:
            verify(new)
        except ResultError as error:
            raise TransferError(f"the fetched result is {error.cause}") from error


def unpack(packed: Path, folder: Path) -> None:
    """Unpack a ZIP into a folder, and nothing of it elsewhere.

    Raises:
        TransferError: it is damaged, or a path in it leads out of the folder.
    """
    try:
        with zipfile.ZipFile(packed) as archive:
            for entry in archive.infolist():
                _check(entry)
            archive.extractall(folder)
    except (zipfile.BadZipFile, EOFError) as error:
        raise TransferError(f"the fetched ZIP is damaged: {error}") from error


def _check(entry: zipfile.ZipInfo) -> None:
    """Take nothing but plain files below the root.

    Raises:
        TransferError: the entry is something else.
    """
    place = PurePosixPath(entry.filename)
    linked = stat.S_ISLNK(entry.external_attr >> 16)
    if place.is_absolute() or ".." in place.parts or "\\" in entry.filename or linked:
        raise TransferError("the fetched ZIP holds a path that leads out of it")
