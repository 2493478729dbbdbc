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

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.quality.morphology import Mask, Plane, bands, large, reached, solid
from wsi_pipeline.quality.view import CoarseView

_Value = TypeVar("_Value", bound=np.generic)


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
class _Px:
    """Optical densities of some rows, each ``(rows, width)``, and their local means."""

    red: Plane
    green: Plane
    blue: Plane
    mean_red: Plane
    mean_green: Plane
    mean_blue: Plane


@dataclass(frozen=True, slots=True)
class _Slide:
    """What is usual on this slide.

    Attributes:
        hue: Red over green density of three quarters of its tissue.
        ratio: Blue over green density of its stains.
    """

    hue: float
    ratio: float


_Rule = Callable[[_Px, _Slide, PenLimits], tuple[Mask, Mask]]
"""Says where ink is sure, and where it may be beside sure ink."""


def find_pen(view: CoarseView, limits: PenLimits = LIMITS) -> Mask:
    """Where ink is, ``(height, width)`` of the view."""
    slide = _Slide(_usual_hue(view, limits), _blue_share(view, limits))
    found = np.zeros(view.seen.shape, np.bool_)
    for rule, side_um in (
        (_cold, limits.solid_um),
        (_thin_blue, limits.stroke_um),
        (_neutral, limits.stroke_um),
        (_warm, limits.solid_um),
        (_yellow, limits.solid_um),
        (_foreign, limits.stroke_um),
    ):
        seeds, weak = _apply(rule, view, slide, limits)
        filled = solid(seeds, view.px(side_um) | 1)
        del seeds
        sure = large(filled & view.seen, view.area_px(limits.least_mm2))
        if sure.any():
            found |= reached(solid(weak, 3, 0.5), sure)
    # Nuclei, gaps and folds under a stroke are part of it.
    return (found | solid(found, view.px(100.0) | 1, 0.55)) & view.seen


def _apply(rule: _Rule, view: CoarseView, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:
    """What a rule says of the px that were seen, some rows at a time: its sums would be large."""
    # Nuclei and the gaps between them: what lies over both is told from their mean.
    planes = (*view.density, *view.smooth)
    seeds, weak = np.empty_like(view.seen), np.empty_like(view.seen)
    for band in bands(view.seen):
        seeds[band], weak[band] = rule(_Px(*(plane[band] for plane in planes)), slide, limits)
    seeds &= view.seen
    weak &= view.seen
    return seeds, weak


def _usual_hue(view: CoarseView, limits: PenLimits) -> float:
    red, green, seen = _some(view.density[0]), _some(view.density[1]), _some(view.seen)
    tissue = seen & (green > 0.12) & (red < limits.cold_weak * green)
    hue = (red / (green + 1e-6))[tissue]
    return float(np.percentile(hue, 75)) if hue.size else limits.cold_weak


def _some(plane: NDArray[_Value]) -> NDArray[_Value]:
    """About 250,000 px of a plane, evenly apart."""
    step = max(1, int((plane.size / 250_000) ** 0.5))
    return plane[::step, ::step]


def _cold(px: _Px, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:
    """Blue, green and what lies between."""
    seeds = (px.red > limits.cold_density) & (px.red > limits.cold * px.green)
    seeds |= (px.red > limits.cold_weak * px.green) & (px.red > limits.cold_deep)
    return seeds, _weakly_cold(px, slide, limits)


def _weakly_cold(px: _Px, slide: _Slide, limits: PenLimits) -> Mask:
    """That only shifts the hue: the slide's own tissue says from where on."""
    low = float(np.clip(slide.hue + limits.cold_beyond, *limits.cold_span))
    return np.asarray((px.red > limits.cold_density) & (px.red > low * px.green))


def _thin_blue(px: _Px, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:
    """Thin blue ink over tissue."""
    most = max(limits.over, slide.hue + limits.over_beyond)
    seeds = (px.mean_red > limits.over_density) & (px.mean_red > most * px.mean_green)
    return seeds, _weakly_cold(px, slide, limits)


def _neutral(px: _Px, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:
    """Black and grey."""
    least = np.minimum(np.minimum(px.red, px.green), px.blue)
    most = np.maximum(np.maximum(px.red, px.green), px.blue)
    weak = (least > limits.neutral_weak * most) & (least > limits.neutral_density * 0.7)
    seeds = weak & (least > limits.neutral * most) & (least > limits.neutral_density)
    # Dense bluish tissue absorbs nearly as evenly, but not more blue than its stains do.
    excess = _excess(px.red, px.green, px.blue, slide.ratio)
    return seeds, weak & (seeds | (excess > limits.excess_weak))


def _warm(px: _Px, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:  # noqa: ARG001 - a rule
    """Red."""
    red, green, blue = px.red, px.green, px.blue
    bare = (blue > limits.warm * green) & (red < limits.warm_red * green)
    over = (blue > limits.warm_weak * green) & (red < limits.warm_red_weak * green)
    seeds = (bare & (green > limits.warm_density)) | (over & (green > limits.warm_deep))
    weak = bare & (green > 0.7 * limits.warm_density)
    weak |= over & (green > 0.7 * limits.warm_deep)
    return seeds, weak


def _foreign(px: _Px, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:
    """Any ink but blue and brown, over tissue."""
    means = px.mean_red, px.mean_green, px.mean_blue
    no_blood = px.mean_red > limits.excess_red * px.mean_green
    seeds = no_blood & _not_brown(*means, limits)
    seeds &= px.mean_green > limits.excess_density
    seeds &= _excess(*means, slide.ratio) > limits.excess
    weak = no_blood & _not_brown(px.red, px.green, px.blue, limits)
    weak &= px.green > limits.excess_density
    weak &= _excess(px.red, px.green, px.blue, slide.ratio) > limits.excess_weak
    return seeds, weak


def _yellow(px: _Px, slide: _Slide, limits: PenLimits) -> tuple[Mask, Mask]:  # noqa: ARG001 - a rule
    """Yellow and orange."""
    red, green, blue = px.red, px.green, px.blue
    strong = blue > limits.yellow_density
    seeds = strong & (blue > limits.yellow * green) & (red < limits.yellow_red * blue)
    weak = strong & (blue > 0.9 * limits.yellow * green) & (red < 1.35 * limits.yellow_red * blue)
    return seeds, seeds | weak


def _not_brown(red: Plane, green: Plane, blue: Plane, limits: PenLimits) -> Mask:
    return np.asarray((blue < limits.brown * green) | (red < limits.brown_red * blue))


def _blue_share(view: CoarseView, limits: PenLimits) -> float:
    """Blue density of this slide's stains as a share of their green one, see ``_RED_SHARE``."""
    red, green, blue = (_some(plane) for plane in view.density)
    tissue = _some(view.seen) & (green > 0.12) & (red < limits.cold_weak * green)
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
