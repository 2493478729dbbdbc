"""Tumour regions as numbers: connected cells at and above the threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.export.decision import Decision


@dataclass(frozen=True, slots=True)
class Regions:
    """Cells of tumour that touch one another at an edge or a corner.

    Region *k* is the *k*-th entry, from 1 on: the most suspicious first, by largest probability,
    then area, then place (top to bottom).

    Attributes:
        labels: Region of each cell, 0 = none, int32 ``(rows, columns)``.
        area_mm2: Area of each region, ``(n,)``.
        largest: Largest probability of its cells, ``(n,)``.
        mean: Mean probability of its cells, ``(n,)``.
        cells: How many cells it has, ``(n,)``.
    """

    labels: NDArray[np.int32]
    area_mm2: NDArray[np.float64]
    largest: NDArray[np.float64]
    mean: NDArray[np.float64]
    cells: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cells)


def find_regions(decision: Decision) -> Regions:
    """The tumour regions of a result.

    Cells are joined over edges and corners (8-connectivity), as the CAMELYON challenges count
    lesions.
    """
    labels, count = ndimage.label(decision.tumour, np.ones((3, 3)))
    inside = labels > 0
    owner = labels[inside]
    probability = decision.probability[inside].astype(np.float64)
    cells = np.bincount(owner, minlength=count + 1)[1:]
    # Without any cells, bincount forgets that it was to add up floats.
    area = np.bincount(owner, decision.area_mm2[inside], count + 1)[1:].astype(np.float64)
    mean = np.bincount(owner, probability, count + 1)[1:] / cells
    indices = np.arange(1, count + 1)
    largest = np.asarray(ndimage.maximum(decision.probability, labels, indices), np.float64)
    order = np.lexsort((indices, -area, -largest))
    number = np.zeros(count + 1, np.int32)
    number[order + 1] = indices
    return Regions(number[labels], area[order], largest[order], mean[order], cells[order])
