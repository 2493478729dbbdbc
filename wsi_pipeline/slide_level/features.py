"""What a map of probabilities looks like as a whole: numbers of its regions and of its tissue.

After the winners of CAMELYON16 and CAMELYON17 (Wang, Khosla, Gargeya, Irshad and Beck 2016, *Deep
Learning for Identifying Metastatic Breast Cancer*; Lee and Paeng 2018, *A Robust and Effective
Approach Towards Accurate Metastasis Detection and pN-stage Classification*): at several thresholds
the share of the tissue, how many regions there are, size and shape of the largest ones; beside them
percentiles, and maxima that one wrong cell does not decide. Areas and lengths are in mm, so that
grids of other spacings give like numbers; those that span orders of magnitude as logarithms.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.classes import Classes, logit
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.stitch.grid_record import GridRecord
from wsi_pipeline.stitch.slide_record import SlideRecord

Values = NDArray[np.float64]

THRESHOLDS = (0.5, 0.7, 0.9)
#: Of a plane, at each threshold.
_AT_THRESHOLD = (
    "share",
    "regions",
    "largest_mm2",
    "second_mm2",
    "extent",
    "eccentricity",
    "solidity",
    "major_axis_mm",
    "mean_probability",
    "largest_probability",
    "sum",
)
#: Of all cells of a plane.
_WHOLE = ("mean", "p50", "p90", "p99", "mean_of_10", "max_of_means", "max")
#: Touching at a corner counts: 8 neighbours.
_NEIGHBOURS = np.ones((3, 3), np.int64)
#: Cells whose mean is the maximum that one cell does not decide.
_SEVERAL = 10
#: What logarithms are taken of at least: a share of the tissue, mm², mm.
_LEAST_SHARE, _LEAST_MM2, _LEAST_MM = 1e-6, 1e-3, 1e-2
#: Beyond it, a probability says no more.
_MOST_LOGIT = 8.0


def feature_names(classes: Classes) -> tuple[str, ...]:
    """Names of all features of a model, in their order: plane, threshold, what is measured."""
    return tuple(
        f"{plane.name} {name}"
        for plane in classes.planes
        for name in (*(f"{one} ≥ {t:g}" for t in THRESHOLDS for one in _AT_THRESHOLD), *_WHOLE)
    )


def cell_mm(grid: GridRecord, slide: SlideRecord) -> PerAxis:
    """Width and height of a cell of a result in mm."""
    cell = grid.cell_0
    return PerAxis(cell.x * slide.mpp.x / 1000, cell.y * slide.mpp.y / 1000)


def features_of(classes: Classes, probability: NDArray[np.float32], cell: PerAxis) -> Values | None:
    """The features of a slide, float64 ``(features,)``; None where nothing was classified.

    Memory: some 40 bytes for each cell.

    Args:
        classes: Of the model.
        probability: ``(rows, columns)`` of a binary model, else ``(planes, rows, columns)``; NaN =
            not classified.
        cell: Its width and height in mm.
    """
    planes = probability[None] if classes.task == "binary" else probability
    if np.isnan(planes[0]).all():
        return None
    return np.concatenate([_of_plane(plane, cell) for plane in planes])


def _of_plane(plane: NDArray[np.float32], cell: PerAxis) -> Values:
    known = plane[~np.isnan(plane)].astype(np.float64)
    filled = np.nan_to_num(plane, nan=-1.0)
    numbers = [value for t in THRESHOLDS for value in _at(filled, t, len(known), cell)]
    ordered = np.sort(known)
    quantiles = np.quantile(ordered, [0.5, 0.9, 0.99])
    whole = [ordered.mean(), *quantiles, ordered[-_SEVERAL:].mean(), _mean_of_nine(plane).max()]
    whole.append(ordered[-1])
    logits = np.clip(logit(np.asarray(whole, np.float32)), -_MOST_LOGIT, _MOST_LOGIT)
    return np.concatenate([np.asarray(numbers, np.float64), logits])


def _mean_of_nine(plane: NDArray[np.float32]) -> Values:
    """Mean over each cell and its classified neighbours; 0 where the cell is not classified."""
    there = ~np.isnan(plane)
    total = ndimage.uniform_filter(np.where(there, plane, 0).astype(np.float64), 3, mode="constant")
    share = ndimage.uniform_filter(there.astype(np.float64), 3, mode="constant")
    found = np.zeros(plane.shape)
    # Sums may end a little below zero or above one.
    np.divide(total, share, out=found, where=there)
    return np.clip(found, 0, 1)


def _at(filled: NDArray[np.float32], threshold: float, known: int, cell: PerAxis) -> list[float]:
    """The numbers of :data:`_AT_THRESHOLD`."""
    # In float32, as the probabilities are.
    above = filled >= np.float32(threshold)
    total = float(filled[above].sum(dtype=np.float64))
    labels, count = ndimage.label(above, _NEIGHBOURS)
    area = cell.x * cell.y
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    second = float(sizes[order[1]]) if count > 1 else 0.0
    largest = float(sizes[order[0]]) if count else 0.0
    shape = (0.0, 0.0, 0.0, 0.0)
    mean = most = 0.0
    if count:
        number = int(order[0])
        box = ndimage.find_objects(labels, number + 1)[number]
        inside = labels[box] == number + 1
        shape = shape_of(inside, cell)
        values = filled[box][inside]
        mean, most = float(values.mean(dtype=np.float64)), float(values.max())
    extent, eccentricity, solidity, major = shape
    return [
        float(np.log10(above.sum() / known + _LEAST_SHARE)),
        float(np.log1p(count)),
        float(np.log10(largest * area + _LEAST_MM2)),
        float(np.log10(second * area + _LEAST_MM2)),
        extent,
        eccentricity,
        solidity,
        float(np.log10(major + _LEAST_MM)),
        mean,
        most,
        float(np.log10(total / known + _LEAST_SHARE)),
    ]


def shape_of(inside: NDArray[np.bool_], cell: PerAxis) -> tuple[float, float, float, float]:
    """Extent, eccentricity, solidity and major axis in mm of a region.

    Those of :func:`skimage.measure.regionprops`: axes are of the ellipse with the same second
    moments, cells counted as squares; the convex hull is of the cells' corners.

    Args:
        inside: The region in its bounding box, ``(rows, columns)``.
        cell: Width and height in mm.
    """
    rows, columns = np.nonzero(inside)
    y, x = rows * cell.y, columns * cell.x
    variance_x = float(x.var()) + cell.x**2 / 12
    variance_y = float(y.var()) + cell.y**2 / 12
    covariance = float(((x - x.mean()) * (y - y.mean())).mean())
    middle = (variance_x + variance_y) / 2
    apart = float(np.hypot((variance_x - variance_y) / 2, covariance))
    long, short = middle + apart, max(middle - apart, 0.0)
    # Only the first and last cell of a row can be corners of the hull.
    new_row = rows[1:] != rows[:-1]
    ends = np.append(True, new_row) | np.append(new_row, True)
    corners = np.concatenate(
        [
            np.stack([columns[ends] + right, rows[ends] + down], axis=1)
            for right in (0, 1)
            for down in (0, 1)
        ]
    )
    from scipy.spatial import ConvexHull  # noqa: PLC0415 - takes a while, few runs need it

    hull = float(ConvexHull(corners).volume)  # of a plane, its area
    return (
        len(rows) / inside.size,
        float(np.sqrt(max(0.0, 1 - short / long))),
        len(rows) / hull,
        4 * float(np.sqrt(long)),
    )
