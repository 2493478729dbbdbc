"""A slide at the resolution a detector needs: the level it is read from, and the coarse picture."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, PerAxis, Region
from wsi_pipeline.quality.morphology import local_mean
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tissue.rule import is_black

#: µm per px that pen, folds, bubbles and gaps are looked for at: HistoQC takes 1.25 × of the
#: objective, 8 µm/px; half of that keeps the rim of a bubble, some 20 µm wide, apart from noise.
_COARSE_UM = (4.0, 5.7)
#: Px of a level that are decoded for it at most; more would take longer than it is worth.
_MOST_DECODED = 800_000_000
#: Px of the coarse picture at most: about 45 bytes each are held while it is looked at.
_MOST_PX = 6_000_000
#: Px read at a time.
_BAND_PX = 4_000_000
#: µm along a side of the squares that densities are averaged over.
_SMOOTH_UM = 24.0
#: Brightest grey that may be glass, and the least.
_GLASS_RANGE = (200, 255)


@dataclass(frozen=True, slots=True)
class Source:
    """Where px of a wanted resolution come from.

    Attributes:
        level: Pyramid level that is read.
        block: Px of the level along x and y whose mean is a px.
        um: µm along x and y of a px.
    """

    level: int
    block: tuple[int, int]
    um: tuple[float, float]


def choose_source(
    info: SlideInfo, mpp_0: Mpp, least_um: float, most_um: float, decoded: int = _MOST_DECODED
) -> Source | str:
    """The level to read px of a resolution from, or why there is none.

    Args:
        info: The slide.
        mpp_0: µm per level-0 px.
        least_um: µm per px wanted; finer levels are averaged up to it.
        most_um: µm per px of the coarsest level that will do.
        decoded: Px of a level that may be decoded.
    """
    fitting = [
        index for index, level in enumerate(info.levels) if mpp_0.side * level.downsample <= most_um
    ]
    if not fitting:
        return f"the slide's px of {mpp_0.side:.3g} µm are coarser than {most_um:g} µm"
    level = fitting[-1]
    if info.levels[level].size.area > decoded:
        return (
            f"no level lies between {most_um:g} µm/px and one of {info.levels[level].size} px, "
            "which would take too long to read"
        )
    own = mpp_0.scaled(info.levels[level].downsample)
    block = (max(1, round(least_um / own.x)), max(1, round(least_um / own.y)))
    return Source(level, block, (own.x * block[0], own.y * block[1]))


@dataclass(frozen=True)
class CoarseView:
    """The whole slide at some µm per px.

    Attributes:
        rgb: uint8 ``(height, width, 3)``.
        scanned: Where the scanner looked, ``(height, width)``.
        um: µm along x and y of a px.
        px_0: Level-0 px along x and y per px.
    """

    rgb: NDArray[np.uint8]
    scanned: NDArray[np.bool_]
    um: tuple[float, float]
    px_0: PerAxis

    def px(self, length_um: float) -> int:
        """A length in px, at least 1."""
        return max(1, round(length_um / max(self.um)))

    def area_px(self, area_mm2: float) -> float:
        """An area in px."""
        return area_mm2 * 1e6 / (self.um[0] * self.um[1])

    @cached_property
    def glass(self) -> tuple[int, int, int]:
        """Colour of clear glass, 0-255: the median of the palest scanned px of this slide."""
        every = max(1, int((self.scanned.size / 250_000) ** 0.5))
        scanned = self.scanned[::every, ::every]
        planes = [self.rgb[::every, ::every, channel][scanned] for channel in range(3)]
        bright = functools.reduce(np.minimum, planes) >= _GLASS_RANGE[0]
        if np.count_nonzero(bright) < 50:
            return 240, 240, 240
        red, green, blue = (_median(plane[bright]) for plane in planes)
        return red, green, blue

    @cached_property
    def density(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Optical density of R, G and B over glass, 0 and more, each ``(height, width)``."""
        values = np.arange(256, dtype=np.float64) + 1
        red, green, blue = (
            np.clip(-np.log10(values / (glass + 1)), 0, None).astype(np.float32)[
                self.rgb[..., channel]
            ]
            for channel, glass in enumerate(self.glass)
        )
        return red, green, blue

    @cached_property
    def smooth(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Means of :attr:`density` of squares of 24 µm: of nuclei and what lies between them."""
        side = self.px(_SMOOTH_UM) | 1
        red, green, blue = (local_mean(plane, side) for plane in self.density)
        return red, green, blue

    def forget_means(self) -> None:
        """Give up :attr:`smooth`, which is computed again when it is asked for."""
        vars(self).pop("smooth", None)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Scanned and not black, as the tissue rule has it."""
        seen: NDArray[np.bool_] = self.scanned & ~is_black(self.rgb)
        return seen


def read_coarse(reader: SlideReader, mpp_0: Mpp, threads: int) -> CoarseView | str:
    """Read the coarse picture band by band, or say why there is none.

    Memory: 4 bytes per px of the picture, of which there are at most 6 million, and a band of
    some 20 MB for each thread.

    Raises:
        DamagedSlideError: the level cannot be read.
    """
    source = choose_source(reader.info, mpp_0, *_COARSE_UM)
    if isinstance(source, str):
        return source
    size = reader.info.levels[source.level].size
    while (size.width // source.block[0]) * (size.height // source.block[1]) > _MOST_PX:
        source = Source(
            source.level,
            (source.block[0] * 2, source.block[1] * 2),
            (source.um[0] * 2, source.um[1] * 2),
        )
    across, down = source.block
    rows = max(1, _BAND_PX // size.width // down) * down

    def band(top: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        height = min(rows, size.height - top)
        rgb, scanned = reader.read_scanned(Region(source.level, 0, top, size.width, height))
        return block_means(rgb, across, down), block_any(scanned, across, down)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(band, range(0, size.height, rows)))
    downsample = reader.info.levels[source.level].downsample
    return CoarseView(
        rgb=np.concatenate([part[0] for part in parts]),
        scanned=np.concatenate([part[1] for part in parts]),
        um=source.um,
        px_0=PerAxis(downsample * across, downsample * down),
    )


def _median(values: NDArray[np.uint8]) -> int:
    """The median, rounded down: by counting, a fifth of the time of sorting."""
    counts = np.cumsum(np.bincount(values, minlength=256))
    middle = np.searchsorted(counts, [(len(values) - 1) // 2, len(values) // 2], side="right")
    return int(middle.sum()) // 2


def block_means(rgb: NDArray[np.uint8], across: int, down: int) -> NDArray[np.uint8]:
    """Rounded means of blocks of px; incomplete blocks are filled by the edge."""
    if across == down == 1:
        return rgb
    blocks = _blocks(rgb, across, down)
    sums = blocks.sum(axis=(1, 3), dtype=np.uint32)
    means: NDArray[np.uint8] = ((sums + across * down // 2) // (across * down)).astype(np.uint8)
    return means


def block_any(mask: NDArray[np.bool_], across: int, down: int) -> NDArray[np.bool_]:
    """Whether any px of each block is set."""
    if across == down == 1:
        return mask
    return np.asarray(_blocks(mask, across, down).any(axis=(1, 3)), np.bool_)


def _blocks(values: NDArray[np.generic], across: int, down: int) -> NDArray[np.generic]:
    height, width = values.shape[:2]
    odd = ((0, -height % down), (0, -width % across), *[(0, 0)] * (values.ndim - 2))
    padded = np.pad(values, odd, mode="edge") if any(high for _, high in odd) else values
    rows, columns = padded.shape[0] // down, padded.shape[1] // across
    return padded.reshape(rows, down, columns, across, *values.shape[2:])
