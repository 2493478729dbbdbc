"""Marker ink, on tissue and on glass, by optical densities that no stained tissue has.

Ink lies over the section, so that its density and the tissue's add up (Beer and Lambert).
Haematoxylin and eosin both absorb green most: of 1.2 million coarse px of lymph node and colon
(``docs/quality.md``), 99.9 % absorb less than 0.97 times as much red as green. Blue and green ink
absorb red more than green. Black ink absorbs all alike; red ink absorbs blue nearly as much as
green, and both more than erythrocytes do in a section; yellow and orange absorb blue alone. HistoQC
(Janowczyk et al. 2019) uses fixed RGB bounds for blue, green and red; ratios of densities also
hold for half-transparent ink.

A stroke is found by its sure px, and followed as far as px fit (hysteresis, Canny 1986): ink is
sure on glass, and less so where it lies over tissue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.quality.morphology import Mask, large, reached, solid
from wsi_pipeline.quality.view import CoarseView

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PenLimits:
    """Bounds on optical densities (decadic, over glass) and sizes.

    Attributes:
        cold: Red over green of surely blue or green ink; haematoxylin reaches 0.97.
        cold_beyond: How far red over green of ink, where it adjoins sure ink, lies beyond that of
            three quarters of the slide's tissue; inside ``cold_span``.
        cold_weak: Red over green that tissue does not reach where it is very dense.
        cold_density: Least red density of it.
        cold_deep: Red density from which ``cold_weak`` is sure: no section absorbs so much.
        neutral: Least over greatest density of surely black ink; tissue reaches 0.8.
        neutral_weak: The same beside sure ink.
        neutral_density: Least mean density of black ink.
        warm: Blue over green of surely red ink.
        warm_weak: The same beside sure ink.
        warm_density: Least green density of red ink.
        warm_deep: Green density from which ``warm_weak`` is sure: erythrocytes reach 0.75.
        warm_red: Greatest red over green of red ink; erythrocytes have 0.17 and more.
        warm_red_weak: The same beside sure ink; what is as dense in tissue, nuclei, has more.
        yellow: Blue over green of yellow and orange ink; tissue reaches 1.
        yellow_red: Greatest red over blue of it; diaminobenzidine, a brown stain, has 0.35 (Ruifrok
            and Johnston 2001), melanin more.
        yellow_density: Least blue density of it.
        least_mm2: Of a stroke: a dot of a marker is 0.5 mm across or more; pigment is not.
        solid_um: Side of the square that has to be inked almost wholly.
    """

    cold: float = 1.08
    cold_beyond: float = 0.08
    cold_span: tuple[float, float] = (0.78, 0.92)
    cold_weak: float = 0.93
    cold_density: float = 0.15
    cold_deep: float = 0.5
    neutral: float = 0.82
    neutral_weak: float = 0.62
    neutral_density: float = 0.20
    warm: float = 0.84
    warm_weak: float = 0.66
    warm_density: float = 0.42
    warm_deep: float = 0.80
    warm_red: float = 0.16
    warm_red_weak: float = 0.47
    yellow: float = 1.25
    yellow_red: float = 0.29
    yellow_density: float = 0.4
    least_mm2: float = 0.02
    solid_um: float = 36.0


LIMITS = PenLimits()


def find_pen(view: CoarseView, limits: PenLimits = LIMITS) -> Mask:
    """Where ink is, ``(height, width)`` of the view."""
    red, green, blue = view.density
    found = np.zeros(red.shape, np.bool_)
    for seeds, weak in (
        _cold(red, green, view.seen, limits),
        _neutral(red, green, blue, limits),
        _warm(red, green, blue, limits),
        _yellow(red, green, blue, limits),
    ):
        side = view.px(limits.solid_um) | 1
        sure = large(solid(seeds & view.seen, side) & view.seen, view.area_px(limits.least_mm2))
        if sure.any():
            found |= reached(solid(weak & view.seen, 3, 0.5), sure)
    # Nuclei, gaps and folds under a stroke are part of it.
    return (found | solid(found, view.px(100.0) | 1, 0.55)) & view.seen


def _cold(red: Plane, green: Plane, seen: Mask, limits: PenLimits) -> tuple[Mask, Mask]:
    """Blue, green and what lies between."""
    strong = red > limits.cold_density
    seeds = strong & (red > limits.cold * green)
    seeds |= (red > limits.cold_weak * green) & (red > limits.cold_deep)
    if not seeds.any():
        return seeds, seeds
    # Ink over tissue only shifts its hue: the slide's own tissue says from where on.
    step = max(1, int((red.size / 1_000_000) ** 0.5))
    tissue = (seen & (green > 0.12) & (red < limits.cold_weak * green))[::step, ::step]
    hue = (red[::step, ::step] / (green[::step, ::step] + 1e-6))[tissue]
    usual = float(np.percentile(hue, 75)) if hue.size else limits.cold_weak
    low = float(np.clip(usual + limits.cold_beyond, *limits.cold_span))
    return np.asarray(seeds), np.asarray(strong & (red > low * green))


def _neutral(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> tuple[Mask, Mask]:
    """Black and grey."""
    least = np.minimum(np.minimum(red, green), blue)
    most = np.maximum(np.maximum(red, green), blue)
    weak = (least > limits.neutral_weak * most) & (least > limits.neutral_density * 0.7)
    seeds = weak & (least > limits.neutral * most) & (least > limits.neutral_density)
    return np.asarray(seeds), np.asarray(weak)


def _warm(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> tuple[Mask, Mask]:
    """Red."""
    bare = (blue > limits.warm * green) & (red < limits.warm_red * green)
    over = (blue > limits.warm_weak * green) & (red < limits.warm_red_weak * green)
    seeds = (bare & (green > limits.warm_density)) | (over & (green > limits.warm_deep))
    weak = bare & (green > 0.7 * limits.warm_density)
    weak |= over & (green > 0.7 * limits.warm_deep)
    return np.asarray(seeds), np.asarray(weak)


def _yellow(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> tuple[Mask, Mask]:
    """Yellow and orange."""
    strong = blue > limits.yellow_density
    seeds = strong & (blue > limits.yellow * green) & (red < limits.yellow_red * blue)
    weak = strong & (blue > 0.9 * limits.yellow * green) & (red < 1.35 * limits.yellow_red * blue)
    return np.asarray(seeds), np.asarray(seeds | weak)
