"""Coarser levels of a slide whose file has one level only: exact means, computed once, in memory.

One pass over the stored level makes all of them, so that the tissue step, thumbnails and Deep Zoom
do not decode the whole slide again and again.
"""

import threading
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.info import Level
from wsi_pipeline.slide.reader import WHITE

#: Most px of the finest computed level: 50 MB, and 67 MB with the coarser ones.
KEPT_PX = 2**24
#: Stored levels of more px get no computed ones: the pass would take minutes.
MOST_PX = 2**34
#: No level is computed of one whose longest side is not longer, in px.
LEAST_PX = 256
#: Px of the stored level that are read at a time.
_BAND_PX = 2**23
#: Of px that cannot be decoded: the palest that counts as tissue. The tissue rule then can rule
#: out neither glass nor tissue, and asks for the place's own px, which say that they are damaged.
_UNREADABLE_GREY = 203


class StoredLevel(Protocol):
    """The level that is reduced; :class:`~wsi_pipeline.slide.segmented_level.SegmentedLevel`."""

    @property
    def size(self) -> Size:
        """In its own px."""
        ...

    @property
    def segment(self) -> Size:
        """What is decoded together, in its px."""
        ...

    @property
    def transparent(self) -> bool:
        """Whether the file says which px were scanned."""
        ...

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`."""
        ...


class ComputedLevels:
    """Levels reduced by 2, 4, 8 …, computed when one of them is first read.

    A px is the mean of the px of its square that the stored level has, rounded half up; it was
    scanned if one of them was. Px that cannot be decoded are taken as a grey.

    Memory bound: :data:`KEPT_PX` × 4 bytes (× 5⅓ where px can be transparent), and while they are
    computed some 200 MB more. Which levels there are: those of at most :data:`KEPT_PX` px, down to
    one whose longest side is at most :data:`LEAST_PX`; none of a stored level of more than
    :data:`MOST_PX`.

    Args:
        stored: The level to reduce.
    """

    def __init__(self, stored: StoredLevel) -> None:
        self._stored = stored
        self._factors = _factors(stored.size)
        self._sizes = [_reduced_size(stored.size, factor) for factor in self._factors]
        self._lock = threading.Lock()
        self._means: list[_Means] = []

    @property
    def levels(self) -> tuple[Level, ...]:
        """Finest first; downsamples are px of the stored level."""
        pairs = zip(self._sizes, self._factors, strict=True)
        return tuple(Level(size, float(factor)) for size, factor in pairs)

    def read_scanned(
        self, number: int, region: Region
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`.

        Args:
            number: Of the computed level, the finest is 0.
            region: In px of that level.

        Raises:
            DamagedSlideError: no px of the stored level can be decoded.
        """
        with self._lock:
            if not self._means:
                self._means = self._compute()
        means, size = self._means[number], self._sizes[number]
        rgb = np.full((region.height, region.width, 3), WHITE, np.uint8)
        scanned = np.zeros((region.height, region.width), np.bool_)
        left, right = max(region.x, 0), min(region.right, size.width)
        top, bottom = max(region.y, 0), min(region.bottom, size.height)
        if left < right and top < bottom:
            inside = np.s_[top - region.y : bottom - region.y, left - region.x : right - region.x]
            rgb[inside] = means.rgb[top:bottom, left:right]
            if means.scanned is None:
                scanned[inside] = True
            else:
                scanned[inside] = means.scanned[top:bottom, left:right]
        return rgb, scanned

    def _compute(self) -> list["_Means"]:
        full, finest = self._stored.size, self._factors[0]
        means: list[_Means] = []
        coarser: _Means | None = None
        for size, factor in reversed(list(zip(self._sizes, self._factors, strict=True))):
            coarser = _Means(full, size, factor, coarser, transparent=self._stored.transparent)
            means.insert(0, coarser)
        rows = finest * max(1, _BAND_PX // (finest * full.width))
        # All columns at once: strips are decoded whole.
        columns = max(_BAND_PX // rows, finest) // finest * finest
        columns = full.width if rows * full.width <= _BAND_PX else columns
        error: DamagedSlideError | None = None
        decoded = False
        for top in range(0, full.height, rows):
            height = min(rows, full.height - top)
            parts: list[NDArray[np.uint64]] = []
            for left in range(0, full.width, columns):
                region = Region(0, left, top, min(columns, full.width - left), height)
                try:
                    parts.append(self._sums(region))
                    decoded = True
                except DamagedSlideError as caught:
                    error = error or caught
                    sums, some = self._sums_in_pieces(region)
                    parts.append(sums)
                    decoded = decoded or some
            means[0].add(np.concatenate(parts, axis=1), last=top + height == full.height)
        if error is not None and not decoded:
            raise error
        return means

    def _sums(self, region: Region) -> NDArray[np.uint64]:
        """Sums over squares of the finest factor: of R, G, B, and of px scanned.

        Shape ``(rows, columns, 3)``, or 4 channels where px can be transparent.
        """
        rgb, scanned = self._stored.read_scanned(region)
        pixels = np.dstack([rgb, scanned.astype(np.uint8)]) if self._stored.transparent else rgb
        return _square_sums(pixels, self._factors[0])

    def _sums_in_pieces(self, region: Region) -> tuple[NDArray[np.uint64], bool]:
        """As :meth:`_sums` of a region that is damaged somewhere, and whether some of it is not."""
        factor, channels = self._factors[0], 4 if self._stored.transparent else 3
        size = _reduced_size(Size(region.width, region.height), factor)
        sums = np.empty((size.height, size.width, channels), np.uint64)
        width = -(-self._stored.segment.width // factor) * factor
        decoded = False
        for row in range(size.height):
            y = region.y + row * factor
            height = min(factor, region.bottom - y)
            # Cut where segments begin: what is damaged takes few others with it.
            x = region.x
            while x < region.right:
                right = min((x // width + 1) * width, region.right)
                piece = Region(0, x, y, right - x, height)
                try:
                    part = self._sums(piece)
                    decoded = True
                except DamagedSlideError:
                    grey = np.full((height, right - x, channels), _UNREADABLE_GREY, np.uint8)
                    grey[..., 3:] = 1
                    part = _square_sums(grey, factor)
                start = (x - region.x) // factor
                sums[row : row + 1, start : start + part.shape[1]] = part
                x = right
        return sums, decoded


class _Means:
    """One level being filled from the top, which hands its sums on to the next coarser one."""

    def __init__(
        self,
        full: Size,
        size: Size,
        factor: int,
        coarser: "_Means | None",
        *,
        transparent: bool,
    ) -> None:
        self.rgb = np.empty((size.height, size.width, 3), np.uint8)
        self.scanned = np.empty((size.height, size.width), np.bool_) if transparent else None
        self._across = _lengths(full.width, factor)
        self._down = _lengths(full.height, factor)
        self._coarser = coarser
        self._filled = 0
        self._waiting: NDArray[np.uint64] | None = None

    def add(self, sums: NDArray[np.uint64], *, last: bool) -> None:
        """Fill the next rows from their sums, ``(rows, columns, channels)``."""
        rows = slice(self._filled, self._filled + len(sums))
        count = (self._down[rows, None] * self._across)[..., None]
        self.rgb[rows] = (2 * sums[..., :3] + count) // (2 * count)
        if self.scanned is not None:
            self.scanned[rows] = sums[..., 3] > 0
        self._filled += len(sums)
        if self._coarser is None:
            return
        if self._waiting is not None:
            sums = np.concatenate([self._waiting, sums])
        odd = 0 if last else len(sums) % 2
        self._waiting = sums[len(sums) - odd :] if odd else None
        if len(sums) > odd:
            pairs = _square_sums(sums[: len(sums) - odd], 2)
            self._coarser.add(pairs, last=last)


def _factors(size: Size) -> list[int]:
    factors: list[int] = []
    factor = 2
    while size.area <= MOST_PX and 2 * max(size.width, size.height) > LEAST_PX * factor:
        if _reduced_size(size, factor).area <= KEPT_PX:
            factors.append(factor)
        factor *= 2
    return factors


def _reduced_size(size: Size, factor: int) -> Size:
    return Size(-(-size.width // factor), -(-size.height // factor))


def _lengths(length: int, factor: int) -> NDArray[np.uint64]:
    """How many px of ``length`` each px of a level covers: fewer at the end."""
    edges = np.minimum(np.arange(-(-length // factor) + 1) * factor, length)
    return np.diff(edges).astype(np.uint64)


def _square_sums(values: NDArray[np.unsignedinteger], side: int) -> NDArray[np.uint64]:
    """Sums over squares; those at the right and lower edge are of what there is."""
    height, width, channels = values.shape
    rows, columns = -(-height // side), -(-width // side)
    missing = (rows * side - height, columns * side - width)
    if any(missing):
        values = np.pad(values, ((0, missing[0]), (0, missing[1]), (0, 0)))
    # Rows first: they are added as whole lines. Sums of bytes over a side fit 32 bits.
    kind = np.uint32 if values.dtype == np.uint8 else np.uint64
    lines = values.reshape(rows, side, columns * side * channels).sum(axis=1, dtype=kind)
    squares: NDArray[np.uint64] = lines.reshape(rows, columns, side, channels).sum(
        axis=2, dtype=np.uint64
    )
    return squares
