"""Where an export goes: names beside the result, and files that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.errors import UsageError
from wsi_pipeline.stitch.layout import SUFFIX


def default_path(result: Path, suffix: str, folder: Path | None = None) -> Path:
    """The file an export goes to if none is named: ``NAME.zarr`` gives ``NAME.geojson``.

    Args:
        result: The result store.
        suffix: Of the export's format, with its dot.
        folder: Where to put it; None: beside the result.
    """
    # "." and "a/.." name no file, yet the folder they mean has a name.
    whole = result if result.name not in {"", ".."} else result.resolve()
    return (folder or whole.parent) / (whole.name.removesuffix(SUFFIX) + suffix)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a destination that cannot be written to.

    Raises:
        UsageError: a file is there and may not be replaced, a folder is there, or its own folder
            is missing.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} already exists; pass --overwrite to replace it")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} to")


@contextmanager
def draft(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A file under another name that takes its own when the block ends without an error.

    Raises:
        UsageError: see :func:`check_free`.
    """
    check_free(path, overwrite=overwrite)
    try:
        with durable.replacing(path, replace=overwrite) as new:
            yield new
    except FileExistsError as error:  # it came while this one was written
        raise UsageError(f"{path} already exists; pass --overwrite to replace it") from error
