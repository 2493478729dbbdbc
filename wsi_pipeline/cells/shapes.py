"""Shapes in masks and images: what is used of scikit-image, with types."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import feature, filters, measure, morphology, segmentation

Mask = NDArray[np.bool_]
Image = NDArray[np.float64]
Window = tuple[slice, slice]
#: What skimage offers without types.
_measure: Any = measure
_morphology: Any = morphology
_feature: Any = feature
_segmentation: Any = segmentation
_filters: Any = filters


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of a mask.

    Attributes:
        label: Its number in the labels.
        rows: Of its px ``(n,)``.
        columns: Likewise.
        window: Around it.
        solidity: Its area as a share of its convex hull's.
        eccentricity: Of the ellipse with the same second moments; 0 is a circle.
    """

    label: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    window: Window
    solidity: float
    eccentricity: float

    @property
    def area(self) -> int:
        """In px."""
        return len(self.rows)


def labels_of(mask: Mask) -> NDArray[np.int64]:
    """Connected parts (eight neighbours), numbered from 1; 0 elsewhere."""
    return np.asarray(_measure.label(mask), np.int64)


def regions_of(labels: NDArray[np.int64]) -> list[Region]:
    """The parts of a label image, by number."""
    return [
        Region(
            int(one.label),
            one.coords[:, 0],
            one.coords[:, 1],
            one.slice,
            float(one.solidity),
            float(one.eccentricity),
        )
        for one in _measure.regionprops(labels)
    ]


def hull_of(mask: Mask) -> Mask:
    """The px in the convex hull of all px of a mask."""
    return np.asarray(_morphology.convex_hull_image(mask), np.bool_)


def disc(radius: float) -> NDArray[np.uint8]:
    """A structuring element, of a radius of 1 px at least."""
    return np.asarray(_morphology.disk(max(1, round(radius))), np.uint8)


def without_holes(mask: Mask, largest: float) -> Mask:
    """With the holes filled that have at most ``largest`` px."""
    return np.asarray(_morphology.remove_small_holes(mask, max_size=round(largest)), np.bool_)


def maxima(image: Image, height: float) -> Mask:
    """Maxima that stand out by a height (Soille 2003, Morphological Image Analysis)."""
    return np.asarray(_morphology.h_maxima(image, height), np.bool_)


def filled(image: Image) -> Image:
    """With every hollow filled to the lowest point of its rim (reconstruction by erosion).

    Args:
        image: Hollows that touch its border, or -inf, stay as they are.
    """
    seed = np.where(np.isneginf(image), image, image.max(initial=0.0))
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        seed[edge] = image[edge]
    return np.asarray(_morphology.reconstruction(seed, image, method="erosion"), np.float64)


def peaks(image: Image, apart: float, least: float | None = None) -> NDArray[np.int64]:
    """Rows and columns ``(n, 2)`` of local maxima, the largest first.

    Args:
        image: Where.
        apart: Two are at least this many px apart.
        least: Value of the smallest.
    """
    found = _feature.peak_local_max(
        image, min_distance=max(1, round(apart)), threshold_abs=least, exclude_border=False
    )
    return np.asarray(found, np.int64)


def edges(image: Image, blur: float, least: float) -> Mask:
    """Thin edges (Canny 1986).

    Args:
        image: Continued over its border as it is there.
        blur: Standard deviation of the Gaussian, px.
        least: Slope (Sobel, per px) with which an edge goes on; twice that begins one.
    """
    around = max(2, round(3 * blur))
    found = _feature.canny(
        np.pad(image, around, mode="edge"),
        sigma=blur,
        low_threshold=least,
        high_threshold=2 * least,
    )
    return np.asarray(found[around:-around, around:-around], np.bool_)


def divided(mask: Mask, distance: Image, seeds: Mask) -> NDArray[np.int64]:
    """Labels of a mask's parts around seeds (watershed, Beucher and Lantuéjoul 1979).

    Args:
        mask: What is divided.
        distance: Larger inside; parts meet where it is least.
        seeds: Each connected part begins one.
    """
    return np.asarray(_segmentation.watershed(-distance, labels_of(seeds), mask=mask), np.int64)


def otsu(image: NDArray[Any]) -> float:
    """The threshold between two groups of values (Otsu 1979)."""
    return float(_filters.threshold_otsu(image))
