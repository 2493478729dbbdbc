"""How long a region is, and what kind of metastasis that makes it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.cohort.table import Label
from wsi_pipeline.export.decision import Decision

#: CAMELYON17: isolated tumour cells are below 0.2 mm, macro-metastases above 2 mm, micro between.
ITC_BELOW_UM = 200.0
MACRO_ABOVE_UM = 2000.0


def kind_of(extent_um: float | None) -> Label:
    """The kind of metastasis whose largest lesion has this extent; None: there is no lesion."""
    if extent_um is None:
        return "normal"
    if extent_um < ITC_BELOW_UM:
        return "itc"
    return "macro" if extent_um > MACRO_ABOVE_UM else "micro"


def major_axes(labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Major axis of each labelled region in px, ``(count,)``.

    The length of the ellipse with the region's second moments, its px taken as points: what
    scikit-image calls ``axis_major_length`` and the challenge's script measures.
    """
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    weight = np.ones(len(rows))
    return _axes(owner, count, weight, columns.astype(float), rows.astype(float), 0.0, 0.0)


def largest_extent_um(decision: Decision) -> float | None:
    """Extent in µm of the longest region of tumour cells; None without any.

    The major axis of the ellipse with the second moments of the region's area. Cells that touch
    at an edge or a corner are one region.
    """
    labels, count = ndimage.label(decision.tumour, np.ones((3, 3)))
    if not count:
        return None
    rows, columns = np.nonzero(labels)
    x, y = decision.column_edges * decision.mpp_0.x, decision.row_edges * decision.mpp_0.y
    width, height = np.diff(x)[columns], np.diff(y)[rows]
    axes = _axes(
        labels[rows, columns],
        count,
        width * height,
        (x[:-1] + x[1:])[columns] / 2,
        (y[:-1] + y[1:])[rows] / 2,
        width**2 / 12,
        height**2 / 12,
    )
    return float(axes.max())


def _axes(
    owner: NDArray[np.int32],
    count: int,
    weight: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    own_x: NDArray[np.float64] | float,
    own_y: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Major axes from points with weights and variances of their own, by region from 1 on."""
    total = _sums(owner, count, weight)
    # From the means, not from the corner: far away squares would swallow the difference.
    x = x - (_sums(owner, count, weight * x) / total)[owner - 1]
    y = y - (_sums(owner, count, weight * y) / total)[owner - 1]
    xx = _sums(owner, count, weight * (x * x + own_x)) / total
    yy = _sums(owner, count, weight * (y * y + own_y)) / total
    xy = _sums(owner, count, weight * x * y) / total
    largest = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return np.asarray(4 * np.sqrt(np.maximum(largest, 0)))


def _sums(owner: NDArray[np.int32], count: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Without any, bincount forgets that it was to add up floats.
    return np.bincount(owner, values, count + 1)[1:].astype(np.float64)
