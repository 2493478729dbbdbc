"""Opens TIFF files by what they are, not by what they are called."""

import struct
from pathlib import Path

import tifffile

_CLASSIC_LITTLE = b"II*\0"
#: In every directory of Hamamatsu's NDPI, whose offsets have 64 bits though the header says 32.
_NDPI_TAG = 65420
_ENTRY_BYTES = 12


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file; ``tifffile`` alone takes NDPI for what is called ``.ndpi``.

    Raises:
        tifffile.TiffFileError: it is none, or its header is damaged.
    """
    return tifffile.TiffFile(path, is_ndpi=_is_ndpi(path))


def _is_ndpi(path: Path) -> bool:
    """Whether the first directory, looked for as NDPI has it, is one of NDPI."""
    with path.open("rb") as file:
        header = file.read(12)
        if len(header) < 12 or not header.startswith(_CLASSIC_LITTLE):
            return False
        (offset,) = struct.unpack("<Q", header[4:])
        if offset + 2 > path.stat().st_size:
            return False
        file.seek(offset)
        (count,) = struct.unpack("<H", file.read(2))
        directory = file.read(count * _ENTRY_BYTES)
    whole = len(directory) // _ENTRY_BYTES * _ENTRY_BYTES
    return _NDPI_TAG in (tag for tag, _ in struct.iter_unpack("<H10s", directory[:whole]))
