"""The directories of a TIFF file, followed before any library follows them.

A directory names the next one and, in its tag ``SubIFDs``, others below it. Nothing keeps a file
from naming one it has named before, or a hundred thousand: then the libraries read for minutes.
So the way through them is walked here first, in bounded time, without a look at any pixel.

Source of the layout: TIFF 6.0, section 2; the BigTIFF design of AWare Systems; NDPI as libtiff's
and tifffile's sources describe it (64-bit offsets to directories in a file of 32-bit tags).
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wsi_pipeline.errors import DamagedSlideError

#: Larger than any scanner's output: more is damage or an attack.
MAX_SIDE_PX = 4_000_000
#: Of one file. Slides have some dozens, with all levels, focal planes and pictures of the label.
MAX_DIRECTORIES = 1024
#: Of one directory; the most that ``tifffile`` takes.
MAX_TAGS = 4096
#: In every directory of Hamamatsu's NDPI, whose offsets have 64 bits though the header says 32.
_NDPI_TAG = 65420
_WIDTH, _LENGTH, _SUB_DIRECTORIES = 256, 257, 330
#: Struct codes of the types that lengths and offsets have: SHORT, LONG, IFD, LONG8, IFD8.
_CODES = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file's directories are written.

    Attributes:
        order: Byte order, as :mod:`struct` has it.
        first: Where the header keeps the offset of the first directory.
        offset: Struct code of the offset of the next directory.
        count: Struct code of the number of tags.
        value: Struct code of a tag's count, and of the offset of a value that does not fit.
    """

    order: str
    first: int
    offset: str
    count: str
    value: str

    @property
    def entry_bytes(self) -> int:
        """Length of a tag's entry: tag, type, count, value."""
        return 4 + 2 * struct.calcsize(self.value)


@dataclass(frozen=True, slots=True)
class _Directory:
    """What of a directory concerns the way through the file; sizes in px, 0 if not stated."""

    width: int
    height: int
    leads_to: tuple[int, ...]


def check_directories(path: Path) -> None:
    """Check that the directories of a TIFF file end, and that no image in it is of absurd size.

    What is cut off or makes no sense otherwise is left to those who read the file.

    Args:
        path: A file that starts as classic or Big TIFF does.

    Raises:
        DamagedSlideError: directories lead in a circle, are too many, or claim more than
            :data:`MAX_SIDE_PX`.
    """
    with path.open("rb") as file:
        form = _form_of(file)
        if form is None:
            return
        _Walk(path, file, form).run()


def is_ndpi(path: Path) -> bool:
    """Whether the first directory of a file, looked for as NDPI has it, is one of NDPI."""
    with path.open("rb") as file:
        return _is_ndpi(file)


class _Walk:
    """One walk through all directories: depth first, each once."""

    def __init__(self, path: Path, file: BinaryIO, form: _Form) -> None:
        self._path = path
        self._file = file
        self._form = form

    def run(self) -> None:
        form = self._form
        first = _unpack(self._file, form.first, form.order + form.offset)
        if not first:
            return
        seen: set[int] = set()
        # The way to where the walk stands, and what is still to be visited from each step of it.
        way: dict[int, list[int]] = {}
        self._enter(first[0], seen, way)
        while way:
            place, ahead = next(reversed(way.items()))
            if not ahead:
                del way[place]
                continue
            following = ahead.pop()
            if following in way:
                raise DamagedSlideError(
                    self._path,
                    "its TIFF directories lead in a circle; the file is damaged or hostile",
                )
            if following not in seen:
                self._enter(following, seen, way)

    def _enter(self, offset: int, seen: set[int], way: dict[int, list[int]]) -> None:
        seen.add(offset)
        if len(seen) > MAX_DIRECTORIES:
            self._refuse_number()
        directory = self._read(offset)
        if max(directory.width, directory.height) > MAX_SIDE_PX:
            claimed = f"{directory.width:,} × {directory.height:,} px"
            raise DamagedSlideError(self._path, f"claims {claimed}, more than any scanner makes")
        way[offset] = list(directory.leads_to)

    def _refuse_number(self) -> None:
        cause = f"it has more than {MAX_DIRECTORIES:,} TIFF directories, which no slide has"
        raise DamagedSlideError(self._path, cause)

    def _read(self, offset: int) -> _Directory:
        form = self._form
        nothing = _Directory(0, 0, ())
        count = _unpack(self._file, offset, form.order + form.count)
        if not count or not 0 < count[0] <= MAX_TAGS:
            return nothing
        start = offset + struct.calcsize("=" + form.count)
        self._file.seek(start)
        entries = self._file.read(count[0] * form.entry_bytes)
        if len(entries) < count[0] * form.entry_bytes:
            return nothing
        following = _unpack(self._file, start + len(entries), form.order + form.offset)
        found: dict[int, tuple[int, ...]] = {}
        for at in range(0, len(entries), form.entry_bytes):
            entry = entries[at : at + form.entry_bytes]
            (tag,) = struct.unpack_from(form.order + "H", entry)
            if tag in (_WIDTH, _LENGTH, _SUB_DIRECTORIES):
                found[tag] = self._values(entry)
        below = [place for place in found.get(_SUB_DIRECTORIES, ()) if place]
        after = [place for place in following if place]
        width, height = (max(found.get(tag, ()), default=0) for tag in (_WIDTH, _LENGTH))
        return _Directory(width, height, (*after, *below))

    def _values(self, entry: bytes) -> tuple[int, ...]:
        form = self._form
        kind, count = struct.unpack_from(f"{form.order}H{form.value}", entry, 2)
        code = _CODES.get(kind)
        if code is None or count == 0:
            return ()
        if count > MAX_DIRECTORIES:
            self._refuse_number()
        held = form.entry_bytes - struct.calcsize(form.value)
        layout = f"{form.order}{count}{code}"
        if struct.calcsize(layout) <= struct.calcsize(form.value):
            return struct.unpack_from(layout, entry, held)
        (place,) = struct.unpack_from(form.order + form.value, entry, held)
        return _unpack(self._file, place, layout)


def _form_of(file: BinaryIO) -> _Form | None:
    file.seek(0)
    header = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(header[:2])
    if order is None or len(header) < 8:
        return None
    (version,) = struct.unpack_from(order + "H", header, 2)
    if version == 43:
        return _Form(order, 8, "Q", "Q", "Q")
    if _is_ndpi(file):
        return _Form(order, 4, "Q", "H", "I")
    return _Form(order, 4, "I", "H", "I")


def _is_ndpi(file: BinaryIO) -> bool:
    file.seek(0)
    if file.read(4) != b"II*\0":
        return False
    first = _unpack(file, 4, "<Q")
    count = _unpack(file, first[0], "<H") if first else ()
    if not count:
        return False
    directory = file.read(count[0] * 12)
    whole = len(directory) // 12 * 12
    return _NDPI_TAG in (tag for tag, _ in struct.iter_unpack("<H10s", directory[:whole]))


def _unpack(file: BinaryIO, offset: int, layout: str) -> tuple[int, ...]:
    """Numbers at a place of the file; none where it ends before them."""
    size = struct.calcsize(layout)
    if offset + size > os.fstat(file.fileno()).st_size:
        return ()
    file.seek(offset)
    return struct.unpack(layout, file.read(size))
