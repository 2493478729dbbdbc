"""Air bubbles and cover-slip edges: thin dark lines without colour, long, and often closed.

At the rim of a bubble, as at the edge of the cover slip, light is refracted out of the objective:
a line that is dark in all colours alike, which no stain is. HistoQC looks for bubbles by the same
outline. A fibre of dust is as dark, but shorter; marker ink is wider.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from wsi_pipeline.quality.morphology import (
    Mask,
    Plane,
    chosen,
    grown,
    labelled,
    local_mean,
    part_sizes,
    shrunk,
)
from wsi_pipeline.quality.view import CoarseView


@dataclass(frozen=True, slots=True)
class BubbleLimits:
    """Bounds.

    Attributes:
        density: Least optical density of a rim above that of its surroundings, in every colour.
        sure: The same of its darkest px, of which a line has some all along.
        plain: Least increase over the greatest, of the three colours: of haematoxylin, the least
            coloured stain, it is 0.4, of a second layer of tissue as much.
        sure_plain: The same of its darkest px.
        around_um: Side of the square that counts as surroundings.
        least_um: Least extent of a line; fibres are shorter.
        widest_um: Greatest mean width of a line.
        ragged: Greatest length of its border over that of a straight line of its extent; a circle
            has 2.2 times as much.
        most_mm2: Greatest area of a bubble; a larger closed line is an outline drawn by hand.
    """

    density: float = 0.09
    sure: float = 0.2
    plain: float = 0.6
    sure_plain: float = 0.75
    around_um: float = 240.0
    least_um: float = 400.0
    widest_um: float = 90.0
    ragged: float = 2.8
    most_mm2: float = 40.0


LIMITS = BubbleLimits()


def find_bubbles(view: CoarseView, ink: Mask, limits: BubbleLimits = LIMITS) -> Mask:
    """Where bubbles, with their inside, and cover-slip edges are, ``(height, width)``.

    Args:
        view: The slide.
        ink: Where ink is, whose edges are no rims.
        limits: Bounds.
    """
    side = view.px(limits.around_um) | 1
    least = _above(view.density[0], side)
    most = least.copy()
    for plane in view.density[1:]:
        more = _above(plane, side)
        np.minimum(least, more, out=least)
        np.maximum(most, more, out=most)
    del more
    line = (least > limits.density) & (least > limits.plain * most) & view.seen
    line &= ~grown(ink, view.px(60.0))
    sure = line & (least > limits.sure) & (least > limits.sure_plain * most)
    del least, most
    lines = _long(line, sure, view, limits)
    if not lines.any():
        return lines
    closed = grown(lines, view.px(12.0))
    # A rim that light breaks up is closed all the same if its parts lie near each other.
    wide = view.px(40.0)
    inside = _inside(grown(lines, wide), view.area_px(limits.most_mm2))
    return closed | grown(inside, wide)


def _above(plane: Plane, side: int) -> Plane:
    """Density above that of the surroundings."""
    mean = local_mean(plane, side)
    return np.subtract(plane, mean, out=mean)


def _long(line: Mask, sure: Mask, view: CoarseView, limits: BubbleLimits) -> Mask:
    """Parts that are long, thin, smooth and surely dark."""
    # Gaps of a few px in a rim must not cut it.
    joined = grown(line, 1)
    labels, count = labelled(joined)
    if not count:
        return line
    um = max(view.um)
    areas = part_sizes(labels, joined, count)
    dark = part_sizes(labels, sure, count)
    borders = areas - part_sizes(labels, shrunk(joined, 1), count)
    keep = np.zeros(count + 1, np.bool_)
    boxes = ndimage.find_objects(labels)
    for index in np.flatnonzero(areas[1:] >= limits.least_um / um) + 1:
        rows, columns = boxes[index - 1]
        extent = float(np.hypot(rows.stop - rows.start, columns.stop - columns.start))
        width = 2 * areas[index] / max(1, borders[index])
        keep[index] = (
            extent * um >= limits.least_um
            and width * um <= limits.widest_um
            and borders[index] <= 2 * limits.ragged * extent
            and dark[index] >= extent / 2
        )
    return chosen(labels, joined, keep)


def _inside(lines: Mask, most_px: float) -> Mask:
    """What closed lines enclose."""
    labels, count = ndimage.label(~lines)
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    open_ = np.zeros(count + 1, np.bool_)
    open_[np.concatenate(edges)] = True
    within = chosen(labels, ~lines, ~open_)
    return chosen(labels, within, part_sizes(labels, within, count) <= most_px)
