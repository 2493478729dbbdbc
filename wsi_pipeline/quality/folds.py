"""Folds: bands where the section lies double, so that both stains are about twice as dense.

Bautista and Yagi (2009) and Kothari et al. (2013) threshold saturation minus intensity, which is
high in folds, but also in epithelium and lymphoid tissue beside pale stroma. Two things tell those
apart: a fold is a *band with the same, paler tissue on both sides*, and it has *their hue* (light
passes the same tissue twice, so that densities double), while nuclei have more haematoxylin than
what surrounds them. A fold is followed to the edge of the tissue, where glass lies on one side; one
that has glass beside it all along is not found.
"""

from dataclasses import dataclass

import numpy as np

from wsi_pipeline.quality.morphology import Mask, Plane, large, opened, reached, solid
from wsi_pipeline.quality.view import CoarseView


@dataclass(frozen=True, slots=True)
class FoldLimits:
    """Bounds.

    Attributes:
        ratio: Density over that of either side; 2 where the section lies double.
        ratio_weak: The same beside what is surely a fold.
        density: Least mean optical density; twice that of the palest tissue.
        dark: Density over the median of the slide's tissue.
        dark_weak: The same beside what is surely a fold.
        hue: Greatest distance of the shares of R, G and B in the density from either side's.
        sides_um: How far aside is looked; the widest fold is a little narrower than the last.
        least_um: Least width of a fold.
        least_mm2: Least area.
    """

    ratio: float = 1.45
    ratio_weak: float = 1.25
    density: float = 0.30
    dark: float = 1.3
    dark_weak: float = 1.15
    hue: float = 0.04
    sides_um: tuple[float, ...] = (80.0, 160.0, 300.0)
    least_um: float = 20.0
    least_mm2: float = 0.006


LIMITS = FoldLimits()
#: Mean optical density from which px count as tissue: luminance 0.8 over glass of 0.95.
_TISSUE = 0.08
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def find_folds(view: CoarseView, ink: Mask, limits: FoldLimits = LIMITS) -> Mask:
    """Where folds are, ``(height, width)`` of the view; there are none under ``ink``."""
    planes = view.smooth
    total = planes[0] + planes[1]
    total += planes[2]
    total /= 3
    tissue = (total > _TISSUE) & view.seen & ~ink
    found = np.zeros(total.shape, np.bool_)
    if not tissue.any():
        return found
    usual = float(np.median(total[tissue][:: max(1, int(tissue.sum()) // 50_000)]))
    sure = tissue & (total > max(limits.density, limits.dark * usual))
    weak = tissue & (total > max(limits.density, limits.dark_weak * usual))
    found = _banded(planes, tissue, sure, limits.ratio, view, limits, edge=False)
    found = solid(found, view.px(limits.least_um) | 1, 0.6) & sure
    found = opened(found, view.px(limits.least_um), view.px(limits.least_um))
    found = large(found, view.area_px(limits.least_mm2))
    if not found.any():
        return found
    beside = _banded(planes, tissue, weak, limits.ratio_weak, view, limits, edge=True)
    more = reached(solid(beside, view.px(limits.least_um) | 1, 0.6) & weak, found)
    return found | opened(more, view.px(limits.least_um), view.px(limits.least_um))


def _banded(
    planes: tuple[Plane, Plane, Plane],
    tissue: Mask,
    dark: Mask,
    ratio: float,
    view: CoarseView,
    limits: FoldLimits,
    *,
    edge: bool,
) -> Mask:
    """Dark px that have paler tissue of their hue on opposite sides, or glass on one (``edge``)."""
    found = np.zeros(dark.shape, np.bool_)
    rows, columns = np.nonzero(dark)
    if not len(rows):
        return found
    here = np.stack([plane[rows, columns] for plane in planes])
    banded = np.zeros(len(rows), np.bool_)
    for side_um in limits.sides_um:
        for direction in _DIRECTIONS:
            step = view.px(side_um / np.hypot(*direction))
            both, either = np.ones(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
            for sign in (-1, 1):
                y, x = rows + sign * step * direction[0], columns + sign * step * direction[1]
                inside = (y >= 0) & (y < dark.shape[0]) & (x >= 0) & (x < dark.shape[1])
                y, x = np.where(inside, y, 0), np.where(inside, x, 0)
                there = np.stack([plane[y, x] for plane in planes])
                paler = inside & tissue[y, x] & _paler(here, there, ratio, limits.hue)
                either |= paler
                both &= paler | (~(inside & tissue[y, x]) if edge else False)
            banded |= both & either
    found[rows, columns] = banded
    return found


def _paler(here: Plane, there: Plane, ratio: float, hue: float) -> Mask:
    """Whether places have the hue of others and are so much denser; densities ``(3, n)``."""
    dense, pale = here.sum(axis=0), there.sum(axis=0) + np.float32(1e-6)
    away = ((here / dense - there / pale) ** 2).sum(axis=0)
    return np.asarray((dense > ratio * pale) & (away < hue**2))
