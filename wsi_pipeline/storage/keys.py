"""Names of stored things: what is a key, and which file says that a tree is complete."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from wsi_pipeline.errors import UsageError

#: Says that a tree is complete: its own root metadata if it is a Zarr store, else a file of ours.
ZARR_MANIFEST = "zarr.json"
TREE_MANIFEST = ".tree.json"
MANIFESTS = (ZARR_MANIFEST, TREE_MANIFEST)

#: S3 takes 1,024 bytes, and a prefix comes before; file systems take 255 for each part.
_KEY_BYTES, _PART_BYTES = 900, 255


def check_key(key: str) -> str:
    """The key itself, if it can neither leave the storage nor mean two things.

    Raises:
        UsageError: a part is empty, ``.`` or ``..``, too long or holds control characters, or
            the first one begins with a dot, as the storage's own files do.
    """
    parts = key.split("/")
    try:
        sound = (
            not key.startswith(".")
            and len(key.encode()) <= _KEY_BYTES
            and all(part not in ("", ".", "..") for part in parts)
            and all(len(part.encode()) <= _PART_BYTES for part in parts)
            and all(ord(letter) >= 32 and ord(letter) != 127 for letter in key)
        )
    except UnicodeEncodeError:  # a file name that is no text
        sound = False
    if not sound:
        raise UsageError(f"{key[:100]!r} cannot be a storage key")
    return key


def tree_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names, relative and with ``/``, and paths of a folder's files, but our own manifest.

    Raises:
        UsageError: it holds a link or another thing that is neither file nor folder, or a name
            that cannot be part of a key.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            inside = tree_files(Path(entry.path))
            yield from ((f"{entry.name}/{name}", path) for name, path in inside)
        elif not entry.is_file(follow_symlinks=False):
            raise UsageError("a folder to be stored holds something that is no file: a link?")
        elif entry.name != TREE_MANIFEST:
            check_key(f"tree/{entry.name}")
            yield entry.name, Path(entry.path)


def manifest_of(files: list[tuple[str, Path]]) -> str:
    """What :data:`TREE_MANIFEST` holds: every file's name and size in bytes."""
    return json.dumps({"files": {name: path.stat().st_size for name, path in files}})
