"""A slide whose levels are stored in segments that are decoded here, without OpenSlide."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.computed_levels import ComputedLevels
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.segmented_level import SegmentedLevel

#: Decoded segments kept per slide: two tile rows of one strip of the plan, for two regions at once.
CACHE_BYTES = 64 * 2**20
#: What :meth:`StoredReader.path_of` says of levels that are not in the file.
COMPUTED = "computed"


class StoredReader:
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` over segmented levels.

    A file with one level only gets coarser ones that are computed.

    Memory bound: the levels' cache, computed levels (see
    :class:`~wsi_pipeline.slide.computed_levels.ComputedLevels`), plus what a call returns.

    Args:
        info: Facts of the slide, with the stored levels.
        levels: Those levels.
        name: How their px are decoded, for :meth:`path_of`.
        close: Frees the file.
    """

    def __init__(
        self,
        info: SlideInfo,
        levels: Sequence[SegmentedLevel],
        name: str,
        close: Callable[[], None],
    ) -> None:
        self._levels = tuple(levels)
        self._name = name
        self._close = close
        self._computed = ComputedLevels(levels[0]) if len(levels) == 1 else None
        computed = () if self._computed is None else self._computed.levels
        self._info = replace(info, levels=(*info.levels, *computed))

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self._info

    @property
    def bytes_read(self) -> int:
        """Compressed bytes fetched so far."""
        return sum(level.bytes_read for level in self._levels)

    def path_of(self, level: int) -> str:
        """``"tiff"`` or ``"picture"`` for a stored level, else ``"computed"``."""
        return self._name if level < len(self._levels) else COMPUTED

    def segment_of(self, level: int) -> Size | None:
        """See :meth:`SlideReader.segment_of`; None of a computed level."""
        return self._levels[level].segment if level < len(self._levels) else None

    def read(self, region: Region) -> NDArray[np.uint8]:
        """See :meth:`SlideReader.read`."""
        if region.level < len(self._levels):
            return self._levels[region.level].read(region)
        return self.read_scanned(region)[0]

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`."""
        number = region.level - len(self._levels)
        if number < 0 or self._computed is None:
            return self._levels[region.level].read_scanned(region)
        return self._computed.read_scanned(number, region)

    def close(self) -> None:
        """Free the file."""
        self._close()
