"""Stitching gaps: straight strips along the scanner's axes that hold no picture.

A scanner joins lanes or squares; what it missed between two of them is filled with black or pure
white, or left transparent. Such a strip is exactly straight, of one colour, and narrow; holes and
clefts of the tissue are not straight, and glass is not pure white on most scanners. Where it is
(glass of 247 and more), white strips cannot be told from glass, and only black ones are found.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from wsi_pipeline.quality.morphology import Mask, chosen, grown, opened, solid
from wsi_pipeline.quality.view import CoarseView


@dataclass(frozen=True, slots=True)
class GapLimits:
    """Bounds.

    Attributes:
        white: Least value of every channel of a white strip.
        black: Greatest value of every channel of a black one, a little over padding's for JPEG.
        glass: Value of glass from which white is not told from it.
        least_um: Least length of a strip.
        widest_um: Greatest width; what is wider is the edge of the scanned area.
    """

    white: int = 249
    black: int = 24
    glass: int = 247
    least_um: float = 400.0
    widest_um: float = 300.0


LIMITS = GapLimits()
#: Share of a strip's box that it fills; a slanted or ragged one fills less.
_STRAIGHT = 0.75
#: Share of the px along a strip's row, over an eighth of its least length, that are empty.
_UNBROKEN = 0.6
#: Share of the px on either side of a strip that may be empty too.
_BESIDE = 0.4


def find_gaps(view: CoarseView, limits: GapLimits = LIMITS) -> Mask:
    """Where gaps are, ``(height, width)`` of the view."""
    red, green, blue = (view.rgb[..., channel] for channel in range(3))
    nothing = (red <= limits.black) & (green <= limits.black) & (blue <= limits.black)
    nothing |= ~view.scanned
    if min(view.glass) < limits.glass:
        nothing |= (red >= limits.white) & (green >= limits.white) & (blue >= limits.white)
    found = np.zeros(nothing.shape, np.bool_)
    if not nothing.any():
        return found
    nothing = solid(nothing, 3, 0.5)  # compression leaves single px of other values
    if not nothing.any():
        return found
    length, width = view.px(limits.least_um), view.px(limits.widest_um) + 1
    for turned in (False, True):
        part = nothing.T if turned else nothing
        if part.shape[1] >= length:
            strips = _strips(part, length, width)
            found |= strips.T if turned else strips
    # The px beside a gap are mixtures of it and tissue.
    return grown(found, 1) if found.any() else found


def _strips(nothing: Mask, length: int, width: int) -> Mask:
    """Strips along rows: long, not wide, with straight edges and a picture on both sides."""
    # Compression beside a picture breaks the outermost rows of a strip.
    along = ndimage.uniform_filter1d(nothing.astype(np.float32), length // 8 | 1, axis=1)
    runs = opened(along >= _UNBROKEN, 1, length)
    labels, count = ndimage.label(runs)
    keep = np.zeros(count + 1, np.bool_)
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        high = rows.stop - rows.start
        if high > width or runs[rows, columns].mean() < _STRAIGHT:
            continue
        above = nothing[max(0, rows.start - 2 - high) : max(0, rows.start - 1), columns]
        below = nothing[rows.stop + 1 : rows.stop + 2 + high, columns]
        beside = [float(part.mean()) for part in (above, below) if part.size]
        keep[index] = len(beside) == 2 and max(beside) < _BESIDE
    return chosen(labels, runs, keep)
