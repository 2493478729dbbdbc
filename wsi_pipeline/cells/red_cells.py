"""Red cells: roundish outlines first, then what they leave of the stained area, divided."""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from wsi_pipeline.cells import shapes
from wsi_pipeline.cells.discs import Disc, DiscSettings, find_discs
from wsi_pipeline.cells.finder import Box
from wsi_pipeline.cells.shapes import Mask, Window
from wsi_pipeline.cells.stains import Stains

#: Share of the directions with an edge from which an outline says how large red cells are.
_SURE = 0.65


@dataclass(frozen=True, slots=True)
class RedSettings:
    """How red cells are found; lengths in diameters, areas in areas of the usual red cell.

    Attributes:
        discs: How outlines are found.
        sizing: The same while the diameter is not known: rounder ones of a wider range.
        pallor: Largest hole in the stained area that is a red cell's pale middle, not glass.
        filled: Least share of an outline's inside that is stained.
        new: Least share of it that is in no surer cell.
        overlap: Largest intersection over union with a surer cell's box.
        rest: Least area of a cell of no clear outline.
        opening: Radius of what is too thin for one.
        depth: Touching cells are divided where the distance from the border has a dent this deep.
        cut: Of a cell at the border, the least width and height that must be seen.
    """

    discs: DiscSettings = field(default_factory=DiscSettings)
    sizing: DiscSettings = field(
        default_factory=lambda: DiscSettings(smallest=0.6, largest=1.4, edge=0.1, spread=0.25)
    )
    pallor: float = 0.35
    filled: float = 0.6
    new: float = 0.25
    overlap: float = 0.45
    rest: float = 0.35
    opening: float = 0.06
    depth: float = 0.03
    cut: float = 0.55


def find_red(stains: Stains, white: Mask, side: float, settings: RedSettings) -> list[Box]:
    """Boxes of red cells, in px of the field, clipped to it.

    Args:
        stains: Of the field.
        white: Px of white cells.
        side: Diameter of the usual red cell, px.
        settings: Limits.
    """
    area = np.pi / 4 * side**2
    stained = shapes.without_holes(stains.stained, settings.pallor * area) & ~white
    taken = np.zeros_like(stained)
    boxes: list[Box] = []
    for disc in find_discs(stains.density, white, side, settings.discs):
        window, inside = _inside(disc, stained.shape)
        red = inside & stained[window]
        if red.sum() < settings.filled * inside.sum() or not inside.any():
            continue
        if (red & ~taken[window]).sum() < settings.new * inside.sum():
            continue
        if any(_overlap(disc.box, box) > settings.overlap for box in boxes):
            continue
        boxes.append(disc.box)
        taken[window] |= inside
    boxes += _divided(stained & ~taken, side, settings)
    return [box for box in (_clipped(b, stained.shape, settings.cut * side) for b in boxes) if box]


def sure_diameters(
    stains: Stains, white: Mask, side: float, settings: RedSettings
) -> tuple[float, list[float]]:
    """How much of the red area whole, clear outlines explain, 0-1, and their diameters, px.

    Args:
        stains: Of the field.
        white: Px of white cells.
        side: A diameter to try, px.
        settings: Limits.
    """
    red = shapes.without_holes(stains.stained, settings.pallor * np.pi / 4 * side**2) & ~white
    taken = np.zeros_like(red)
    diameters = []
    for disc in find_discs(stains.density, white, side, settings.sizing):
        box = disc.box
        whole = box.xmin >= 0 and box.ymin >= 0
        whole &= box.xmax <= red.shape[1] and box.ymax <= red.shape[0]
        window, inside = _inside(disc, red.shape)
        if disc.seen < _SURE or not whole or red[window][inside].mean() < settings.filled:
            continue
        if taken[window][inside].mean() <= 0.5:
            taken[window] |= inside
            diameters.append((box.width + box.height) / 2)
    return float((taken & red).sum() / max(int(red.sum()), 1)), diameters


def first_guess(stains: Stains, white: Mask) -> float:
    """A rough diameter of the usual red cell, px; 0 where there is none.

    Twice the median of the largest distances from the border of the stained area: of single cells
    the diameter, of overlapping ones somewhat more, of pale ones less.
    """
    filled = np.asarray(ndimage.binary_fill_holes(stains.stained & ~white), np.bool_)
    distance = ndimage.distance_transform_edt(filled)
    deepest = float(distance.max())
    if deepest < 2:
        return 0.0
    values = distance[shapes.maxima(distance, 0.1 * deepest)]
    return 2.2 * float(np.median(values[values > 0.4 * deepest]))


def _inside(disc: Disc, shape: tuple[int, int]) -> tuple[Window, Mask]:
    """The window of an outline's ellipse in the image, and which of its px are inside."""
    box = disc.box
    left, top = max(0, int(box.xmin)), max(0, int(box.ymin))
    right, bottom = min(shape[1], int(box.xmax) + 1), min(shape[0], int(box.ymax) + 1)
    y, x = np.mgrid[top : max(bottom, top), left : max(right, left)] + 0.5
    across = (x - (box.xmin + box.xmax) / 2) / (box.width / 2)
    down = (y - (box.ymin + box.ymax) / 2) / (box.height / 2)
    window = slice(top, max(bottom, top)), slice(left, max(right, left))
    return window, across**2 + down**2 <= 1


def _overlap(one: Box, other: Box) -> float:
    width = min(one.xmax, other.xmax) - max(one.xmin, other.xmin)
    height = min(one.ymax, other.ymax) - max(one.ymin, other.ymin)
    both = max(0.0, width) * max(0.0, height)
    return both / (one.width * one.height + other.width * other.height - both)


def _divided(rest: Mask, side: float, settings: RedSettings) -> list[Box]:
    """Boxes of what no outline explains, touching cells divided along the dents between them.

    A watershed on the distance from the border; its seeds are the maxima that stand out.
    """
    opened = ndimage.binary_opening(rest, shapes.disc(settings.opening * side))
    distance = ndimage.distance_transform_edt(np.pad(opened, 1, mode="edge"))[1:-1, 1:-1]
    distance = ndimage.gaussian_filter(distance, 0.03 * side)
    labels = shapes.divided(opened, distance, shapes.maxima(distance, settings.depth * side))
    least = settings.rest * np.pi / 4 * side**2
    return [
        Box(
            float(region.window[1].start),
            float(region.window[0].start),
            float(region.window[1].stop),
            float(region.window[0].stop),
        )
        for region in shapes.regions_of(labels)
        if region.area >= least
    ]


def _clipped(box: Box, shape: tuple[int, int], least: float) -> Box | None:
    """The part inside the field; None where the border leaves too little."""
    left, top = max(0.0, box.xmin), max(0.0, box.ymin)
    right, bottom = min(float(shape[1]), box.xmax), min(float(shape[0]), box.ymax)
    if right - left <= 0 or bottom - top <= 0:
        return None
    if (right - left < min(least, box.width)) or (bottom - top < min(least, box.height)):
        return None
    return Box(left, top, right, bottom)
