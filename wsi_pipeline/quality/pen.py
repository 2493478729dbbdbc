"""Marker ink, on tissue and on glass, by optical densities that no stained tissue has.

Ink lies over the section, so that its density and the tissue's add up (Beer and Lambert).
Haematoxylin and eosin both absorb green most: of 1.2 million coarse px of lymph node and colon
(``docs/quality.md``), 99.9 % absorb less than 0.97 times as much red as green. Blue and green ink
absorb red more than green. Black ink absorbs all alike; red ink absorbs blue nearly as much as
green, and both more than erythrocytes do in a section; yellow and orange absorb blue alone. HistoQC
(Janowczyk et al. 2019) uses fixed RGB bounds for blue, green and red; ratios of densities also
hold for half-transparent ink.

Two stains span a plane of densities (Ruifrok and Johnston 2001), so that red and green density
foretell the blue one. Ink of any colour but blue absorbs more blue than that, by the same amount on
glass and over tissue: the *excess*. Erythrocytes have one too, with little red density, and brown
pigments and diaminobenzidine, which absorb blue most of all.

A stroke is found by its sure px, and followed as far as px fit (hysteresis, Canny 1986): ink is
sure on glass, and less so where it lies over tissue.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.quality.morphology import Mask, large, reached, solid
from wsi_pipeline.quality.view import CoarseView

Plane = NDArray[np.float32]
Planes = tuple[Plane, Plane, Plane]


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
        over: Red over green of the local mean of thin blue ink over tissue; of lymph node, the
            bluest tissue, 99 % of local means have less than 0.7.
        over_beyond: How far it lies beyond that of three quarters of the slide's tissue, which may
            be stained by haematoxylin alone.
        over_density: Least red density of it.
        neutral: Least over greatest density of surely black ink; tissue reaches 0.8.
        neutral_weak: The same beside sure ink.
        neutral_density: Least mean density of black ink.
        warm: Blue over green of surely red ink.
        warm_weak: The same beside sure ink.
        warm_density: Least green density of red ink.
        warm_deep: Green density from which ``warm_weak`` is sure: erythrocytes reach 0.75.
        warm_red: Greatest red over green of red ink; erythrocytes have 0.17 and more.
        warm_red_weak: The same beside sure ink; what is as dense in tissue, nuclei, has more.
        excess: Least excess of blue density of ink over tissue, of local means.
        excess_weak: The same beside sure ink.
        excess_density: Least green density there: on glass, the other rules decide.
        excess_red: Least red over green density there; erythrocytes have less.
        brown: Greatest blue over green density there; brown pigments have more, and more red over
            blue density than ``brown_red``.
        brown_red: See ``brown``.
        yellow: Blue over green of yellow and orange ink; tissue reaches 1.
        yellow_red: Greatest red over blue of it; diaminobenzidine, a brown stain, has 0.35 (Ruifrok
            and Johnston 2001), melanin more.
        yellow_density: Least blue density of it.
        least_mm2: Of a stroke: a dot of a marker is 0.5 mm across or more; pigment is not.
        solid_um: Side of the square that has to be inked almost wholly.
        stroke_um: The same of ink that is black, or might be: rims of bubbles and edges of cover
            slips are as dark and up to 0.1 mm wide, strokes of pens 0.3 mm and more.
    """

    cold: float = 1.08
    cold_beyond: float = 0.08
    cold_span: tuple[float, float] = (0.78, 0.92)
    cold_weak: float = 0.93
    cold_density: float = 0.15
    cold_deep: float = 0.5
    over: float = 0.78
    over_beyond: float = 0.17
    over_density: float = 0.25
    neutral: float = 0.82
    neutral_weak: float = 0.62
    neutral_density: float = 0.20
    warm: float = 0.84
    warm_weak: float = 0.66
    warm_density: float = 0.42
    warm_deep: float = 0.80
    warm_red: float = 0.16
    warm_red_weak: float = 0.47
    excess: float = 0.07
    excess_weak: float = 0.045
    excess_density: float = 0.3
    excess_red: float = 0.18
    brown: float = 0.97
    brown_red: float = 0.32
    yellow: float = 1.25
    yellow_red: float = 0.29
    yellow_density: float = 0.4
    least_mm2: float = 0.02
    solid_um: float = 36.0
    stroke_um: float = 150.0


LIMITS = PenLimits()
#: Blue density of haematoxylin and eosin is this share of the red one, and a share of the green
#: one that differs by laboratory: 0.33 to 0.80 in patches of lymph node and colon.
_RED_SHARE = -0.17
_RATIOS, _RATIO_BINS, _USUAL_RATIO = (0.3, 0.78), 96, 0.65


@dataclass(frozen=True, slots=True)
class _Found:
    """What one rule says of each px, ``(height, width)``.

    Attributes:
        seeds: Where ink is sure.
        weak: Where it may be beside sure ink.
        side_um: Side of the square that seeds have to fill almost wholly.
    """

    seeds: Mask
    weak: Mask
    side_um: float


def find_pen(view: CoarseView, limits: PenLimits = LIMITS) -> Mask:
    """Where ink is, ``(height, width)`` of the view."""
    found = np.zeros(view.seen.shape, np.bool_)
    for rule in _rules(view, limits):
        filled = solid(rule.seeds & view.seen, view.px(rule.side_um) | 1)
        sure = large(filled & view.seen, view.area_px(limits.least_mm2))
        if sure.any():
            found |= reached(solid(rule.weak & view.seen, 3, 0.5), sure)
    # Nuclei, gaps and folds under a stroke are part of it.
    return (found | solid(found, view.px(100.0) | 1, 0.55)) & view.seen


def _rules(view: CoarseView, limits: PenLimits) -> Iterator[_Found]:
    """What each rule finds, one after the other: together they would be large."""
    red, green, blue = view.density
    # Nuclei and the gaps between them: what lies over both is told from their mean.
    means = view.smooth
    yield from _cold(red, green, means, view.seen, limits)
    yield _warm(red, green, blue, limits)
    yield _yellow(red, green, blue, limits)
    ratio = _blue_share(red, green, blue, view.seen, limits)
    excess = _excess(red, green, blue, ratio)
    yield _neutral(red, green, blue, excess, limits)
    yield _foreign(red, green, blue, excess, means, _excess(*means, ratio), limits)


def _cold(
    red: Plane, green: Plane, means: Planes, seen: Mask, limits: PenLimits
) -> tuple[_Found, _Found]:
    """Blue, green and what lies between; then thin blue ink over tissue.

    That only shifts the hue: the slide's own tissue says from where on.
    """
    step = max(1, int((red.size / 250_000) ** 0.5))
    tissue = (seen & (green > 0.12) & (red < limits.cold_weak * green))[::step, ::step]
    hue = (red[::step, ::step] / (green[::step, ::step] + 1e-6))[tissue]
    usual = float(np.percentile(hue, 75)) if hue.size else limits.cold_weak
    low = float(np.clip(usual + limits.cold_beyond, *limits.cold_span))
    strong = red > limits.cold_density
    weak = strong & (red > low * green)
    seeds = strong & (red > limits.cold * green)
    seeds |= (red > limits.cold_weak * green) & (red > limits.cold_deep)
    over = means[0] > limits.over_density
    over &= means[0] > max(limits.over, usual + limits.over_beyond) * means[1]
    return _Found(seeds, weak, limits.solid_um), _Found(over, weak, limits.stroke_um)


def _neutral(red: Plane, green: Plane, blue: Plane, excess: Plane, limits: PenLimits) -> _Found:
    """Black and grey."""
    least = np.minimum(np.minimum(red, green), blue)
    most = np.maximum(np.maximum(red, green), blue)
    weak = (least > limits.neutral_weak * most) & (least > limits.neutral_density * 0.7)
    seeds = weak & (least > limits.neutral * most) & (least > limits.neutral_density)
    # Dense bluish tissue absorbs nearly as evenly, but not more blue than its stains do.
    return _Found(seeds, weak & (seeds | (excess > limits.excess_weak)), limits.stroke_um)


def _warm(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> _Found:
    """Red."""
    bare = (blue > limits.warm * green) & (red < limits.warm_red * green)
    over = (blue > limits.warm_weak * green) & (red < limits.warm_red_weak * green)
    seeds = (bare & (green > limits.warm_density)) | (over & (green > limits.warm_deep))
    weak = bare & (green > 0.7 * limits.warm_density)
    weak |= over & (green > 0.7 * limits.warm_deep)
    return _Found(seeds, weak, limits.solid_um)


def _foreign(
    red: Plane,
    green: Plane,
    blue: Plane,
    excess: Plane,
    means: Planes,
    mean_excess: Plane,
    limits: PenLimits,
) -> _Found:
    """Any ink but blue and brown, over tissue."""
    mean_red, mean_green, mean_blue = means
    no_blood = mean_red > limits.excess_red * mean_green
    seeds = no_blood & _not_brown(mean_red, mean_green, mean_blue, limits)
    seeds &= (mean_green > limits.excess_density) & (mean_excess > limits.excess)
    weak = no_blood & _not_brown(red, green, blue, limits)
    weak &= (green > limits.excess_density) & (excess > limits.excess_weak)
    return _Found(seeds, weak, limits.stroke_um)


def _not_brown(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> Mask:
    return np.asarray((blue < limits.brown * green) | (red < limits.brown_red * blue))


def _blue_share(red: Plane, green: Plane, blue: Plane, seen: Mask, limits: PenLimits) -> float:
    """Blue density of this slide's stains as a share of their green one, see ``_RED_SHARE``."""
    step = max(1, int((red.size / 250_000) ** 0.5))
    red, green, blue = (plane[::step, ::step] for plane in (red, green, blue))
    tissue = seen[::step, ::step] & (green > 0.12) & (red < limits.cold_weak * green)
    ratios = (blue[tissue] - _RED_SHARE * red[tissue]) / green[tissue]
    # The mode, as ink may cover much of the tissue.
    counts, edges = np.histogram(ratios, _RATIO_BINS, _RATIOS)
    if not counts.any():
        return _USUAL_RATIO
    usual = int(np.argmax(np.convolve(counts, np.ones(5), "same")))
    return float((edges[usual] + edges[usual + 1]) / 2)


def _excess(red: Plane, green: Plane, blue: Plane, ratio: float) -> Plane:
    """Blue density beyond what two stains have."""
    excess = np.float32(-_RED_SHARE) * red
    excess += blue
    excess -= np.float32(ratio) * green
    return excess


def _yellow(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> _Found:
    """Yellow and orange."""
    strong = blue > limits.yellow_density
    seeds = strong & (blue > limits.yellow * green) & (red < limits.yellow_red * blue)
    weak = strong & (blue > 0.9 * limits.yellow * green) & (red < 1.35 * limits.yellow_red * blue)
    return _Found(seeds, seeds | weak, limits.solid_um)
