"""Focus, block by block of 32 µm, by how detail falls off from coarse to fine structure.

The energy of second differences of neighbouring px (what the variance of the Laplacian measures,
Pertuz et al. 2013) is taken at 1, 4, 8 and 16 µm/px. Alone it tells how much structure the tissue
has as well as how sharp it is: mucus in focus has less than lymph node out of focus. A defocused
lens takes away fine structure and leaves coarse, so that the *ratio* falls, whatever the tissue: of
in-focus blocks of real and drawn tissue it is above 2^-2.5, of a blur of 1.25 µm standard deviation
below 2^-3.1, at JPEG qualities from 30 to 92 (``docs/quality.md``). What has hardly any structure
at 4 to 16 µm/px either cannot be judged, and is not called blurred.

A poor scanner or hard compression lowers the ratio of all blocks: the limit follows the sharpest
tenth of the slide's blocks down to a floor, beyond which a whole slide counts as blurred.

A *blurred patch* and a *wide area out of focus* are the same in a block; they are told apart by
size alone: a scanner that chose a wrong plane loses more than 1 mm², or most of the tissue.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import PerAxis, Region
from wsi_pipeline.quality.morphology import Mask, Plane
from wsi_pipeline.quality.view import Source, block_means
from wsi_pipeline.slide.reader import SlideReader

#: Px of the source along a block's side; a multiple of 16, so that 16 µm/px have whole px.
BLOCK_PX = 32
#: Times that px are halved: 1, 2, 4, 8 and 16 µm.
_OCTAVES = 5
#: Blocks along a side of what is read at once: 512 px, a common side of a file's tiles.
_READ_BLOCKS = 16
_UNKNOWN = np.float32(np.nan)


@dataclass(frozen=True, slots=True)
class FocusLimits:
    """Bounds on log2 of energies, grey levels² of the green channel.

    Attributes:
        ratio: Of energy at 1 over that at 4 µm/px, below which a block is blurred.
        floor: The same, however blurred the whole slide is.
        below_best: How far the limit lies below the slide's sharpest tenth, between both.
        structure: Least energy at 4 µm/px that the ratio means something of.
        smooth: Energy at 1 µm/px below which hardly more than noise is left.
        coarse: Least energy at 8 µm/px of tissue that had structure before it was blurred away.
        coarse_ratio: Of energy at 1 over that at 8 µm/px of such tissue.
        faint: The same as ``coarse``, of tissue that is far smoother than the slide's sharpest
            tenth.
        faint_ratio: The same as ``coarse_ratio``, of such tissue.
        bare: Energy at 1 µm/px below which nothing fine is left at all; of real tissue in focus,
            one block of 200 has so little.
        widest: Least energy at 16 µm/px of tissue that so strong a blur left.
        widest_ratio: Of energy at 1 over that at 16 µm/px of such tissue.
        below_sharp: How far its energy at 1 µm/px lies below that of the sharpest tenth.
        least_mm2: Least area of a blurred place.
        wide_mm2: Area from which a blurred place is a wide area out of focus.
        wide_share: Share of the slide's blocks from which it is.
    """

    ratio: float = -2.8
    floor: float = -3.3
    below_best: float = 1.6
    structure: float = 4.0
    smooth: float = 3.5
    coarse: float = 4.8
    coarse_ratio: float = -3.5
    faint: float = 3.3
    faint_ratio: float = -3.0
    bare: float = 2.0
    widest: float = 3.5
    widest_ratio: float = -4.5
    below_sharp: float = 7.0
    least_mm2: float = 0.01
    wide_mm2: float = 1.0
    wide_share: float = 0.3


LIMITS = FocusLimits()


@dataclass(frozen=True, slots=True)
class Focus:
    """The focus of a slide's blocks; arrays are ``(rows, columns)`` of blocks.

    Attributes:
        blurred: Where it is not sharp.
        wide: Where that belongs to a wide area.
        ratio: log2 of the energy at 1 over that at 4 µm/px, float32; NaN where not looked at or
            without structure.
        px_0: Level-0 px along x and y of a block.
        limit: The ratio below which blocks of this slide count as blurred.
        unreadable: Parts of the level that could not be decoded.
    """

    blurred: Mask
    wide: Mask
    ratio: NDArray[np.float32]
    px_0: PerAxis
    limit: float
    unreadable: int

    @property
    def median(self) -> float | None:
        """The slide's median ratio; None where nothing could be judged."""
        known = self.ratio[~np.isnan(self.ratio)]
        return round(float(np.median(known)), 3) if known.size else None


def block_shape(reader: SlideReader, source: Source) -> tuple[int, int]:
    """Rows and columns of blocks; the last ones reach over the edge."""
    size = reader.info.levels[source.level].size
    return (
        -(-size.height // (source.block[1] * BLOCK_PX)),
        -(-size.width // (source.block[0] * BLOCK_PX)),
    )


def block_px_0(reader: SlideReader, source: Source) -> PerAxis:
    """Level-0 px along x and y of a block."""
    downsample = reader.info.levels[source.level].downsample
    return PerAxis(downsample * source.block[0] * BLOCK_PX, downsample * source.block[1] * BLOCK_PX)


def measure_focus(
    reader: SlideReader,
    source: Source,
    wanted: Mask,
    *,
    threads: int,
    limits: FocusLimits = LIMITS,
) -> Focus:
    """Measure the wanted blocks, a part of 16 × 16 blocks at a time.

    Memory: per thread about 5 MB, and as many px of the level as such a part has.

    Args:
        reader: The slide.
        source: Where px of about 1 µm come from.
        wanted: Blocks to look at, :func:`block_shape`.
        threads: Threads that read.
        limits: Bounds.
    """
    energy = np.full((_OCTAVES, *wanted.shape), _UNKNOWN, np.float32)
    parts = [
        (top, left)
        for top in range(0, wanted.shape[0], _READ_BLOCKS)
        for left in range(0, wanted.shape[1], _READ_BLOCKS)
        if wanted[top : top + _READ_BLOCKS, left : left + _READ_BLOCKS].any()
    ]

    def look(part: tuple[int, int]) -> bool:
        top, left = part
        rows = np.flatnonzero(wanted[top : top + _READ_BLOCKS, left : left + _READ_BLOCKS].any(1))
        columns = np.flatnonzero(
            wanted[top : top + _READ_BLOCKS, left : left + _READ_BLOCKS].any(0)
        )
        first, last = int(rows[0]) + top, int(rows[-1]) + top + 1
        start, end = int(columns[0]) + left, int(columns[-1]) + left + 1
        across, down = (BLOCK_PX * side for side in source.block)
        region = Region(
            source.level,
            start * across,
            first * down,
            (end - start) * across,
            (last - first) * down,
        )
        try:
            green = reader.read(region)[..., 1]
        except DamagedSlideError:
            return False
        means = block_means(green[..., None], *source.block)[..., 0]
        energy[:, first:last, start:end] = block_energies(means)
        return True

    with ThreadPoolExecutor(threads) as pool:
        unreadable = sum(not done for done in pool.map(look, parts))
    energy[:, ~wanted] = np.nan
    px_0 = block_px_0(reader, source)
    block_mm2 = source.um[0] * source.um[1] * BLOCK_PX**2 / 1e6
    return _judge(energy, px_0, block_mm2, unreadable, limits)


def block_energies(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean squared second differences of each block at 1, 2, 4, 8 and 16 px.

    Args:
        grey: ``(32 · rows, 32 · columns)``.

    Returns:
        log2, ``(5, rows, columns)``; NaN at 16 px of a single row or column of blocks.
    """
    values = grey.astype(np.float32)
    out: list[NDArray[np.float32]] = []
    for octave in range(_OCTAVES):
        side = BLOCK_PX >> octave
        shape = (grey.shape[0] // BLOCK_PX, grey.shape[1] // BLOCK_PX)
        if min(values.shape) < 3:  # one block alone has no second differences of so coarse px
            out.append(np.full(shape, _UNKNOWN))
            continue
        # A row of blocks at a time: that stays in a core's cache.
        lines = [_differences(values, top, top + side) for top in range(0, len(values), side)]
        # The border has no neighbours: it repeats the px beside it.
        full = np.pad(np.stack(lines), ((0, 0), (1, 1)), mode="edge")
        sums = full.reshape(*shape, side).sum(axis=2)
        out.append(np.log2(sums / (2 * side * side) + 0.01))
        pairs = values[::2] + values[1::2]
        values = (pairs[:, ::2] + pairs[:, 1::2]) * np.float32(0.25)
    return np.stack(out).astype(np.float32)


def _differences(values: Plane, top: int, bottom: int) -> Plane:
    """Sums over rows of squared second differences along both axes, ``(width - 2,)``.

    Args:
        values: At least three rows and columns; the first and the last row have no neighbours and
            count as those beside them.
        top: First row.
        bottom: Row behind the last one.
    """
    first, last = max(top, 1), min(bottom, len(values) - 1)
    middle = values[first:last, 1:-1]
    twice = middle + middle
    across = values[first:last, 2:] + values[first:last, :-2]
    across -= twice
    down = values[first + 1 : last + 1, 1:-1] + values[first - 1 : last - 1, 1:-1]
    down -= twice
    across *= across
    down *= down
    across += down
    sums: Plane = across.sum(axis=0)
    if top < first:
        sums += across[0]
    if bottom > last:
        sums += across[-1]
    return sums


def _judge(
    energy: NDArray[np.float32],
    px_0: PerAxis,
    block_mm2: float,
    unreadable: int,
    limits: FocusLimits,
) -> Focus:
    fine, _, middle, coarse, widest = energy
    with np.errstate(invalid="ignore"):
        structured = middle >= limits.structure
        ratio = np.where(structured, fine - middle, np.nan).astype(np.float32)
        known = ratio[~np.isnan(ratio)]
        best = float(np.percentile(known, 90)) if known.size else 0.0
        limit = float(np.clip(best - limits.below_best, limits.floor, limits.ratio))
        blurred = ratio < limit
        looked = ~np.isnan(fine)
        sharp = float(np.percentile(fine[looked], 90)) if looked.any() else 0.0
        fall = fine - coarse
        washed = (coarse >= limits.coarse) & (fall < limits.coarse_ratio)
        faint = (coarse >= limits.faint) & (fall < limits.faint_ratio)
        washed |= faint & (fine < sharp - limits.below_sharp)
        washed &= fine < limits.smooth
        vanished = (widest >= limits.widest) & (fine - widest < limits.widest_ratio)
        washed |= vanished & (fine < limits.bare)
        blurred |= washed
        unclear = looked & ~structured & ~washed
    around = ndimage.convolve(blurred.astype(np.int8), np.ones((3, 3), np.int8), mode="constant")
    # Some blocks alone are chance; one among blurred ones is blurred as they are.
    blurred = (blurred & (around >= 4)) | (unclear & (around >= 4)) | (looked & (around >= 6))
    labels, count = ndimage.label(blurred, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    blurred &= (sizes * block_mm2 >= limits.least_mm2)[labels]
    wide = sizes * block_mm2 >= limits.wide_mm2
    wide |= (sizes >= limits.wide_share * max(1, int(looked.sum()))) & (sizes >= 64)
    wide[0] = False
    return Focus(
        blurred=blurred,
        wide=np.asarray(wide[labels] & blurred),
        ratio=ratio,
        px_0=px_0,
        limit=round(limit, 3),
        unreadable=unreadable,
    )
