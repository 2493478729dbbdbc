"""A result as one file: the whole store in an uncompressed ZIP that Zarr reads in place."""

import json
import shutil
import zipfile
from pathlib import Path

from wsi_pipeline.export.destination import draft
from wsi_pipeline.stitch.checksums import check_files
from wsi_pipeline.stitch.layout import NGFF_VERSION
from wsi_pipeline.stitch.result import Result

#: The earliest time a ZIP can state: equal stores give equal archives.
_TIME = (1980, 1, 1, 0, 0, 0)
_METADATA = "zarr.json"
_COPY_BYTES = 2**20


def write_zip(result: Result, path: Path, *, overwrite: bool = False) -> None:
    """Write the store as a ZIP whose root is the store's root.

    Entries are stored, not compressed (chunks are already), so that a reader may jump to any of
    them. As OME-NGFF's RFC 9 recommends, metadata come first, from the root downwards, and the
    comment says so. Equal stores give equal bytes. Files are streamed; ZIP64 where needed.

    Args:
        result: The result.
        path: The file, ``NAME.zarr.zip`` by custom.
        overwrite: Whether a file there may be replaced.

    Raises:
        ResultError: a file of the store is damaged.
        UsageError: a file is in the way.
    """
    check_files(result.path)  # copied as they are, and not decoded
    names = [
        file.relative_to(result.path).as_posix()
        for file in result.path.rglob("*")
        if file.is_file()
    ]
    with (
        draft(path, overwrite=overwrite) as new,
        zipfile.ZipFile(new, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name in sorted(names, key=_place):
            source = result.path / name
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.file_size = source.stat().st_size
            with source.open("rb") as chunk, archive.open(entry, "w") as target:
                shutil.copyfileobj(chunk, target, _COPY_BYTES)
        about = {"version": NGFF_VERSION, "zipFile": {"centralDirectory": {"jsonFirst": True}}}
        archive.comment = json.dumps({"ome": about}).encode()


def _place(name: str) -> tuple[bool, int, str]:
    """Metadata first, breadth-first; then chunks by name."""
    is_chunk = name.rsplit("/", 1)[-1] != _METADATA
    return is_chunk, 0 if is_chunk else name.count("/"), name
