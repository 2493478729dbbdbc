"""Slides whose colour label is wrong, shown in their true colours where these are certain.

A JPEG stream says in its markers whether its components are RGB or YCbCr; TIFF and DICOM say it
again in a tag, and OpenSlide believes the tag. Where both contradict each other, or the stream
says nothing, the components themselves decide: one of the two readings is a bright-field slide,
the other is none. Without a stream to ask, nothing is corrected.

What is found depends on the file alone, so that everybody who opens it sees the same pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, SlideContentError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.colour_statistics import (
    clearly_better,
    impossible_colours,
    measure,
    ycbcr_to_rgb,
)
from wsi_pipeline.slide.info import Level, SlideInfo
from wsi_pipeline.slide.jpeg_header import Encoding, JpegHeader
from wsi_pipeline.slide.reader import WHITE, SlideReader
from wsi_pipeline.slide.stored_reader import COMPUTED
from wsi_pipeline.slide.tiff.reader import TiffReader
from wsi_pipeline.slide.tile_reader import TileReader

if TYPE_CHECKING:
    from wsi_pipeline.slide.dicom_level import DicomLevel

#: Tiles whose components are looked at, and every how many px of them along rows and columns.
_TILES, _EVERY = 16, 8
#: A level with fewer px says little of the slide's colours.
_TELLING_PX = 256 * 256
#: Level px read whole; of larger levels, spots on a grid.
_WHOLE_PX = 1024 * 1024
#: About so many px are judged.
_JUDGED_PX = 256 * 256
_SPOTS, _SPOT_PX = 8, 64

_NAMES: Mapping[Encoding, str] = {"RGB": "RGB", "YCBCR": "YCbCr"}
_REMEDY = "export it again from the scanner's software, or mend its colour label"


class _Level(Protocol):
    """A level made of JPEG streams one can look into."""

    @property
    def encoding(self) -> Encoding: ...
    @property
    def bytes_read(self) -> int: ...
    def header(self) -> JpegHeader | None: ...
    def components(self, segments: int) -> list[NDArray[np.uint8]]: ...
    def read_as(self, encoding: Encoding) -> "_Level": ...
    def read(self, region: Region) -> NDArray[np.uint8]: ...


@dataclass(frozen=True, slots=True)
class _Stored:
    """How one level is stored; whether its tiles are known to lie where the reader shows them."""

    level: _Level
    header: JpegHeader
    in_place: Callable[[], bool]

    @property
    def marked(self) -> Encoding | None:
        return None if self.header.encoding is None else self.header.encoding[0]


class CorrectedSlide:
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` that takes some levels' tag to be wrong.

    Memory bound: that of the reader, plus ten times what a call returns.

    Args:
        reader: Shows pixels as the tag says.
        raw: Levels that it shows raw Y, Cb and Cr of.
        tiles: Levels that it shows converted though they are RGB, which loses colours; their
            tiles, decoded without that.
        cause: What the tag says and what is true.
    """

    def __init__(
        self,
        reader: SlideReader,
        raw: frozenset[int],
        tiles: Mapping[int, _Level],
        cause: str,
    ) -> None:
        self._reader = reader
        self._raw = raw
        self._tiles = dict(tiles)
        self._info = replace(reader.info, colours_corrected=cause)

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide, among them the correction."""
        return self._info

    @property
    def bytes_read(self) -> int:
        """As the reader counts, and compressed bytes of the tiles."""
        return self._reader.bytes_read + sum(level.bytes_read for level in self._tiles.values())

    def path_of(self, level: int) -> str:
        """As the reader decodes it."""
        return self._reader.path_of(level)

    def segment_of(self, level: int) -> Size | None:
        """See :meth:`SlideReader.segment_of`."""
        return self._reader.segment_of(level)

    def read(self, region: Region) -> NDArray[np.uint8]:
        """See :meth:`SlideReader.read`."""
        tiles = self._tiles.get(region.level)
        if tiles is not None:
            return tiles.read(region)
        return self._true(region.level, self._reader.read(region))

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`."""
        shown, scanned = self._reader.read_scanned(region)
        tiles = self._tiles.get(region.level)
        rgb = self._true(region.level, shown) if tiles is None else tiles.read(region)
        rgb[~scanned] = WHITE
        return rgb, scanned

    def close(self) -> None:
        """Free the reader's handles."""
        self._reader.close()

    def _true(self, level: int, shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if level not in self._raw:
            return shown
        rgb = ycbcr_to_rgb(shown)
        # White is what readers fill in. As Y, Cb and Cr it would be no colour there is.
        rgb[(shown == WHITE).all(axis=-1)] = WHITE
        return rgb


def with_true_colours(reader: SlideReader, files: Sequence[Path]) -> SlideReader:
    """The reader, or one that corrects its colours where they are certainly labelled wrongly.

    Args:
        reader: The slide, as its tags say.
        files: Its files.

    Raises:
        SlideContentError: the label is certainly wrong, and the pixels cannot be decoded as they
            are.
    """
    groups: dict[tuple[Encoding, Encoding | None], dict[int, _Stored]] = {}
    for index, stored in _stored(reader, files).items():
        stated = stored.level.encoding
        if stored.marked != stated:
            groups.setdefault((stated, stored.marked), {})[index] = stored
    wrong: dict[int, _Stored] = {}
    for group in groups.values():
        if _is_misread(group, reader.info.levels):
            wrong |= group
    if not wrong:
        return reader
    cause = _cause(next(iter(wrong.values())))
    if isinstance(reader, TiffReader):
        return reader.read_as({index: _other(stored) for index, stored in wrong.items()}, cause)
    raw = frozenset(index for index, stored in wrong.items() if stored.level.encoding == "RGB")
    tiles: dict[int, _Level] = {}
    for index in wrong.keys() - raw:
        if not wrong[index].in_place():
            reader.close()
            raise SlideContentError(reader.info.path, f"its colours are wrong: {cause}; {_REMEDY}")
        tiles[index] = wrong[index].level.read_as("RGB")
    return CorrectedSlide(reader, raw, tiles, cause)


def check_colours(reader: SlideReader) -> None:
    """Check on a coarse level that the colours can be those of a bright-field slide.

    Raises:
        SlideContentError: they cannot; says why.
    """
    cause = impossible_colours(_sample(reader))
    if cause:
        text = f"its colours cannot be those of a bright-field slide: {cause}; {_REMEDY}"
        raise SlideContentError(reader.info.path, text)


def _stored(reader: SlideReader, files: Sequence[Path]) -> dict[int, _Stored]:
    """The levels that are made of JPEG streams one can look into."""
    out: dict[int, _Stored] = {}
    if isinstance(reader, TileReader | TiffReader):
        for index in range(len(reader.info.levels)):
            tiles = reader.tiles_of(index)
            try:
                header = None if tiles is None else tiles.header()
            except DamagedSlideError:
                continue  # reading the level will say so
            if tiles is not None and header is not None:
                out[index] = _Stored(tiles, header, partial(_is_direct, reader, index))
    elif reader.info.vendor == "dicom":
        from wsi_pipeline.slide.dicom_level import open_dicom_level  # noqa: PLC0415 - see dicom

        levels = {level.size: index for index, level in enumerate(reader.info.levels)}
        for file in files:
            frames = open_dicom_level(file)
            if frames is not None and frames.size in levels:
                index = levels[frames.size]
                in_place = partial(_looks_alike, reader, index, frames)
                out[index] = _Stored(frames, frames.header(), in_place)
    return out


def _is_direct(reader: SlideReader, level: int) -> bool:
    return reader.path_of(level) != "openslide"


def _looks_alike(reader: SlideReader, level: int, frames: "DicomLevel") -> bool:
    """Whether frames read as their tag says are what the reader shows of the level's middle."""
    size = frames.size
    region = Region(level, size.width // 2, size.height // 2, _SPOT_PX, _SPOT_PX)
    try:
        apart = np.abs(reader.read(region).astype(np.int16) - frames.read(region))
    except (DamagedSlideError, IndexError):
        return False
    # Another JPEG decoder may round otherwise.
    return frames.is_whole and float(apart.mean()) < 1


def _is_misread(group: Mapping[int, _Stored], levels: Sequence[Level]) -> bool:
    """Whether components, read otherwise than the tag says, are a bright-field slide's.

    Where the stream itself says so, the better reading is the true one. Where it says nothing, the
    tag's reading must be impossible and the other one show the slide's background.
    """
    index = _telling_level([(index, levels[index]) for index in group])
    stored = group[index]
    parts = [part[::_EVERY, ::_EVERY].reshape(-1, 3) for part in stored.level.components(_TILES)]
    if not parts:
        return False
    raw = np.concatenate(parts)
    shown, other = raw, ycbcr_to_rgb(raw)
    if stored.level.encoding == "YCBCR":
        shown, other = other, shown
    found = measure(other)
    if not clearly_better(found, measure(shown)):
        return False
    return stored.marked is not None or (found.shows_background and impossible_colours(shown) != "")


def _cause(stored: _Stored) -> str:
    says = stored.header.encoding
    stated, other = stored.level.encoding, _other(stored)
    why = "by their statistics" if says is None else f"by {says[1]} and statistics"
    return f"the file's tag says {_NAMES[stated]}, the JPEG data are {_NAMES[other]} ({why})"


def _other(stored: _Stored) -> Encoding:
    """The encoding that the tag does not state."""
    return "YCBCR" if stored.level.encoding == "RGB" else "RGB"


def _telling_level(levels: Sequence[tuple[int, Level]]) -> int:
    """The coarsest level with enough px, else the one with most."""
    fitting = [(level.size.area, index) for index, level in levels if level.size.area > _TELLING_PX]
    if fitting:
        return min(fitting)[1]
    return max((level.size.area, -index) for index, level in levels)[1] * -1


def _sample(reader: SlideReader) -> NDArray[np.uint8]:
    """Scanned px that stand for the whole slide, ``(n, 3)``; damaged places are left out."""
    # Computed levels would read the whole slide.
    levels = [
        (index, level)
        for index, level in enumerate(reader.info.levels)
        if reader.path_of(index) != COMPUTED
    ]
    index = _telling_level(levels)
    size = reader.info.levels[index].size
    regions = [Region(index, 0, 0, size.width, size.height)]
    if size.area > _WHOLE_PX:
        regions = [
            Region(
                index,
                (size.width - _SPOT_PX) * i // (_SPOTS - 1),
                (size.height - _SPOT_PX) * j // (_SPOTS - 1),
                _SPOT_PX,
                _SPOT_PX,
            )
            for j in range(_SPOTS)
            for i in range(_SPOTS)
        ]
    px = sum(region.width * region.height for region in regions)
    every = max(1, round((px / _JUDGED_PX) ** 0.5))
    parts: list[NDArray[np.uint8]] = []
    for region in regions:
        try:
            rgb, scanned = reader.read_scanned(region)
        except DamagedSlideError:
            continue
        parts.append(rgb[::every, ::every][scanned[::every, ::every]])
    return np.concatenate(parts) if parts else np.empty((0, 3), np.uint8)
