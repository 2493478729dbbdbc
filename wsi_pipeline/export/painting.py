"""The heatmap's picture itself: every px of it coloured by the cell that lies there."""

from dataclasses import dataclass
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.export.decision import Decision
from wsi_pipeline.export.options import Palette
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.cells import is_answered
from wsi_pipeline.tiles.plan import Coverage

Rgb = NDArray[np.uint8]
_Scalar = TypeVar("_Scalar", bound=np.generic)

#: What wins where several cells share a px of the picture, weakest first: nothing is hidden.
_RANK = (
    Coverage.EMPTY,
    Coverage.GLASS,
    Coverage.SCREENED,
    Coverage.CLASSIFIED,
    Coverage.REJECTED,
    Coverage.UNREADABLE,
)
_INK = np.array([20, 20, 24], np.float32)
_GLASS = np.array([246, 246, 244], np.float32)
_EMPTY = np.array([214, 214, 216], np.float32)
_UNREADABLE = np.array([200, 0, 110], np.float32)
_REJECTED = np.array([120, 120, 128], np.float32)
#: Share of the palette in a classified px; the rest is grey tissue. The same everywhere, so that
#: lightness still rises evenly with probability and tissue shows also where it is low.
_OPACITY = 0.6
#: Grey of typical tissue, and how far it goes from there to the darkest and the palest.
_TISSUE_GREY, _CONTRAST = 205.0, 105.0


@dataclass(frozen=True, slots=True)
class Raster:
    """Cells sampled at the px of a picture that spans exactly the slide; ``(height, width)``.

    Attributes:
        probability: float32, NaN = not classified.
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8.
        tumour: bool.
    """

    probability: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    tumour: NDArray[np.bool_]


def rasterise(decision: Decision, size: Size) -> Raster:
    """Sample a result's cells at the px of a picture of the whole slide.

    A px shows the cell its centre lies in. Where cells are smaller than px, it shows the largest
    probability of those whose centres lie in it: a small focus must not vanish.

    Args:
        decision: The cells.
        size: Of the picture, in its px.
    """
    # Cells are where the grid puts them, not rounded to px of the analysis level as in the mask.
    cell, cells, slide = decision.grid.cell_0, decision.grid.size, decision.slide
    spans = [
        _Span(cell.y, cells.height, slide.height, size.height),
        _Span(cell.x, cells.width, slide.width, size.width),
    ]
    rank = np.zeros(len(Coverage), np.uint8)
    rank[list(_RANK)] = np.arange(len(_RANK))
    probability, order, tumour = decision.probability, rank[decision.coverage], decision.tumour
    for axis, span in enumerate(spans):
        probability = span.sample(probability, axis)
        order = span.sample(order, axis)
        tumour = span.sample(tumour, axis)
    return Raster(probability, np.array(_RANK, np.uint8)[order], tumour)


class _Span:
    """How cells of one axis fall on px of a picture."""

    def __init__(self, side_0: float, cells: int, length_0: int, px: int) -> None:
        px_0 = length_0 / px
        self._reduces = side_0 < px_0
        if self._reduces:
            centres = (np.arange(cells) + 0.5) * side_0 / px_0
            self._index = np.searchsorted(centres, np.arange(px)).clip(max=cells - 1)
        else:
            self._index = ((np.arange(px) + 0.5) * px_0 / side_0).astype(int).clip(max=cells - 1)

    def sample(self, values: NDArray[_Scalar], axis: int) -> NDArray[_Scalar]:
        sampled: NDArray[_Scalar] = (
            np.fmax.reduceat(values, self._index, axis)
            if self._reduces
            else np.take(values, self._index, axis)
        )
        return sampled


def colours(palette: Palette, values: NDArray[np.float64]) -> NDArray[np.float32]:
    """How probabilities 0-1 look over typical tissue, RGB 0-255, ``(..., 3)``."""
    table = np.asarray(mpl.colormaps[palette](values), np.float32)[..., :3]
    return table * np.float32(255 * _OPACITY) + np.float32(_TISSUE_GREY * (1 - _OPACITY))


def paint(
    raster: Raster, palette: Palette, backdrop: Rgb | None = None, *, line_px: int = 2
) -> Rgb:
    """Colour a raster.

    Classified px have the palette's colour for their probability (always 0 to 1) over the tissue
    in grey. All others keep the backdrop, pale, or a neutral tone; unreadable and rejected
    ones are hatched. A dark line runs around tumour, outside of it, so that it hides none.

    Args:
        raster: What to paint.
        palette: Perceptually uniform and safe for colour-blind readers, each of them.
        backdrop: RGB of the slide, ``(height, width, 3)``; None: neutral.
        line_px: Width of the line around tumour.

    Returns:
        RGB, ``(height, width, 3)``.
    """
    classified = is_answered(raster.coverage)
    picture = _ground(raster.coverage, backdrop)
    # 256 steps: what a palette has.
    steps = colours(palette, np.linspace(0, 1, 256))
    level = np.rint(np.nan_to_num(raster.probability, nan=0) * 255).astype(np.uint8)
    tint = steps[level[classified]]
    if backdrop is not None:
        tint += _relief(backdrop[classified])[:, None]
    picture[classified] = tint
    for item, colour, slope in (
        (Coverage.UNREADABLE, _UNREADABLE, 1),
        (Coverage.REJECTED, _REJECTED, -1),
    ):
        where = raster.coverage == item
        picture[where & _hatch(where.shape, slope)] = colour
    around = ndimage.binary_dilation(raster.tumour, np.ones((3, 3)), iterations=line_px)
    picture[around & ~raster.tumour] = _INK
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def swatch(item: Coverage, width: int, height: int) -> Rgb:
    """A sample of how a coverage class looks without a slide, for a legend.

    CLASSIFIED gives a sample of the line around tumour.

    Returns:
        RGB, ``(height, width, 3)``.
    """
    shape = (height, width)
    outlined = np.zeros(shape, bool)
    if item == Coverage.CLASSIFIED:
        outlined[height // 5 : -(height // 5), width // 5 : -(width // 5)] = True
        item = Coverage.GLASS
    nothing = np.full(shape, np.nan, np.float32)
    return paint(Raster(nothing, np.full(shape, item, np.uint8), outlined), "viridis")


def _ground(coverage: NDArray[np.uint8], backdrop: Rgb | None) -> NDArray[np.float32]:
    """What lies below the colours: the slide in pale, else tones per coverage class."""
    if backdrop is None:
        ground = np.empty((*coverage.shape, 3), np.float32)
        ground[...] = _GLASS
        ground[coverage == Coverage.EMPTY] = _EMPTY
        return ground
    ground = 255 - (255 - backdrop.astype(np.float32)) * 0.6
    # What was not scanned is a tone, whatever px the file has there.
    ground[coverage == Coverage.EMPTY] = _EMPTY
    return ground


def _relief(rgb: Rgb) -> NDArray[np.float32]:
    """What tissue adds to colours: 0 where it is typical, less where it is darker; ``(n,)``."""
    grey = rgb.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    if not grey.size:
        return grey
    dark, middle, bright = np.percentile(grey, (1, 50, 99)).astype(np.float32)
    relief = (grey - middle) / max(1.0, bright - dark)
    lightest = (255 - _TISSUE_GREY) / _CONTRAST
    return np.asarray(relief.clip(-1, lightest) * _CONTRAST * (1 - _OPACITY), np.float32)


def _hatch(shape: tuple[int, ...], slope: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    lines: NDArray[np.bool_] = np.less((x + slope * y) % 8, 3)
    return lines
