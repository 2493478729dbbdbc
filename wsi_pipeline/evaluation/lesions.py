"""Lesions of the truth as the challenge counts them: dilated, filled, labelled, long enough."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.evaluation.metastasis_size import major_axes
from wsi_pipeline.evaluation.settings import FrocRule
from wsi_pipeline.geometry import NO_STRETCH, Mpp, PerAxis, Size


@dataclass(frozen=True, slots=True)
class Lesions:
    """The evaluation mask of one slide: a window of a grid that starts at level-0 px (0, 0).

    Attributes:
        labels: Lesion of each px, from 1 on, 0 = none; int32 ``(rows, columns)``.
        column: First column of the window in px of the mask.
        row: First row of the window in px of the mask.
        downsample: Level-0 px per px of the mask along x and y.
        extent_um: Major axis of each lesion less the dilation: about its true length, ``(n,)``.
        itc: Which are too short to count, ``(n,)``.
    """

    labels: NDArray[np.int32]
    column: int
    row: int
    downsample: PerAxis
    extent_um: NDArray[np.float64]
    itc: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.itc)

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """The lesion at each level-0 point, 0 = none; ``(n,)``.

        Points are divided by the downsample and floored, as in the challenge's script.
        """
        columns = np.floor(x / self.downsample.x).astype(np.int64) - self.column
        rows = np.floor(y / self.downsample.y).astype(np.int64) - self.row
        height, width = self.labels.shape
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        found = np.zeros(len(columns), np.int64)
        found[inside] = self.labels[rows[inside], columns[inside]]
        return found


def no_lesions() -> Lesions:
    """A slide without tumour."""
    return Lesions(np.zeros((1, 1), np.int32), 0, 0, NO_STRETCH, np.empty(0), np.empty(0, bool))


def find_lesions(
    truth: Truth, rule: FrocRule, mpp_0: Mpp | None, size_0: Size | None = None
) -> Lesions:
    """Make a slide's evaluation mask.

    Its px are square in µm: where the slide's are not, the rule's level-0 px are its square px.

    Memory: some 20 bytes per px of the mask within the tumour's bounds; a macro-metastasis of
    60,000 × 50,000 px has 3 million of them at the challenge's level 5.

    Args:
        truth: Where tumour is.
        rule: The challenge's lengths.
        mpp_0: µm per level-0 px of the slide; None where it is not known.
        size_0: Size of the slide in level-0 px; None: as far as the tumour reaches.

    Raises:
        AnnotationError: the truth cannot be decoded.
    """
    bounds = truth.bounds
    if bounds is None:
        return no_lesions()
    px_0 = (NO_STRETCH if mpp_0 is None else mpp_0.stretch) * rule.downsample
    px_um = rule.mpp_of(None if mpp_0 is None else mpp_0.side) * rule.downsample
    reach_px = rule.gap_um / (2 * px_um)
    margin = math.ceil(reach_px) + 1
    left = max(0, math.floor(bounds[0] / px_0.x) - margin)
    top = max(0, math.floor(bounds[1] / px_0.y) - margin)
    right = math.ceil(bounds[2] / px_0.x) + margin
    bottom = math.ceil(bounds[3] / px_0.y) + margin
    if size_0 is not None:
        right = min(right, math.ceil(size_0.width / px_0.x))
        bottom = min(bottom, math.ceil(size_0.height / px_0.y))
    if right <= left or bottom <= top:
        return no_lesions()
    mask = truth.window(left * px_0.x, top * px_0.y, right - left, bottom - top, px_0)
    labels, axes = label_lesions(mask, reach_px)
    # The rule may believe another resolution than the slide's; a length is the slide's.
    own_um = px_um if mpp_0 is None else mpp_0.side * rule.downsample
    extent_um = np.maximum(axes - 2 * reach_px, 0) * own_um
    return Lesions(labels, left, top, px_0, extent_um, axes < rule.itc_um / px_um)


def label_lesions(
    mask: NDArray[np.bool_], reach_px: float
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Steps 2 to 4 of the challenge's script.

    Args:
        mask: Tumour, ``(rows, columns)``.
        reach_px: Px nearer than this to a tumour px belong to its lesion.

    Returns:
        Lesions joined over edges and corners, numbered from 1 on, ``(rows, columns)``; major axis
        of each in px.
    """
    if not mask.any():  # of nothing, every distance is 0
        return np.zeros(mask.shape, np.int32), np.empty(0)
    near = ndimage.distance_transform_edt(~mask) < reach_px
    filled = ndimage.binary_fill_holes(near)
    labels, count = ndimage.label(filled, np.ones((3, 3)))
    return labels.astype(np.int32), major_axes(labels, count)
