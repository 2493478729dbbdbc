"""Alarms: what a person has to look at before a result is believed, each by a rule with a source.

All are judged from what a result says of itself, so that anybody can judge again.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.cascade import logit
from wsi_pipeline.slide.resolution import USUAL_MPP
from wsi_pipeline.stitch.result import Alarm

Facts = Mapping[str, Any]
Cells = NDArray[np.float32]

#: mm²: a tissue-microarray core 0.6 mm across (Kononen et al. 1998), the smallest specimen in
#: common use.
LEAST_AREA_MM2 = math.pi * 0.3**2
#: Odds ratio within which all answers of a model count as one.
_SAME_ODDS = 1.01
#: Cells below which equal answers may be chance.
_SEVERAL = 8
#: Scanned cells, four by four, from which the lack of glass or of tissue is no chance.
_LEAST_SCANNED = 16
#: Objectives are a factor of two apart: beyond its root, a resolution is nearer to another one's.
_ANOTHER_OBJECTIVE = math.sqrt(2)
#: Mahalanobis distance that 0.27 % of normally distributed points in three dimensions exceed,
#: the square root of the 0.9973 quantile of χ² with three degrees of freedom: the three-sigma
#: limit of Shewhart's charts for several variables at once (Hotelling 1947).
FAR_COLOURS = 3.763


def find_alarms(facts: Facts, probability: Cells) -> list[Alarm]:
    """The alarms of a result.

    Args:
        facts: Its ``wsi_pipeline`` attributes.
        probability: Its cells, float32 ``(rows, columns)``; NaN = not classified.
    """
    known = probability[~np.isnan(probability)]
    found = ((code, rule(facts, known)) for code, rule in _RULES.items())
    return [Alarm(code, sentence) for code, sentence in found if sentence]


def _tumour_on_glass(facts: Facts, _: Cells) -> str:
    """A control, clean glass, reaches the threshold.

    Classifiers that call every part of a slide tumour do so on glass too, where anybody can see
    that it is wrong. One is enough: there is nothing on clean glass to be mistaken about.
    """
    answers = [value for value in facts["controls"]["probabilities"] if value is not None]
    # In float32, as everywhere: 0.5 stored and 0.5 asked for must meet.
    wrong = [value for value in answers if value >= np.float32(facts["threshold"])]
    if not wrong:
        return ""
    return (
        f"the model calls {len(wrong)} of {len(answers)} tiles of clean glass tumour "
        f"(probability up to {max(wrong):.2f}): what it says of the tissue is in doubt"
    )


def _one_valued(_: Facts, known: Cells) -> str:
    """The odds of all cells agree to within 1 %.

    Stain and texture move a living network's logit by far more from tile to tile; a dead one
    (weights lost, input blank, output saturated) answers with its bias.
    """
    if len(known) < _SEVERAL:
        return ""
    low, high = logit(known.min()), logit(known.max())
    if high - low > math.log(_SAME_ODDS):
        return ""
    return f"the model gives one answer everywhere ({float(known.max()):.3g}): it sees nothing"


def _too_few_tiles(facts: Facts, _: Cells) -> str:
    """Less tissue was classified than one tissue-microarray core holds."""
    area = facts["tissue_area_mm2"]
    if area >= LEAST_AREA_MM2:
        return ""
    return (
        f"only {facts['tiles']:,} tiles ({area:.2g} mm²) were classified, less than a "
        f"tissue-microarray core of {LEAST_AREA_MM2:.2g} mm²: score and percentage mean little"
    )


def _implausible_mpp(facts: Facts, _: Cells) -> str:
    """A resolution that is nearer to another objective's, or that hardly any scanner makes.

    Three comparisons: the resolution given by hand with the file's; the file's with what
    pathology scanners make (:data:`~wsi_pipeline.slide.resolution.USUAL_MPP`); the resolution
    analysed with the model's.
    """
    slide, trained = facts["slide"], facts["model"]["mpp"]
    used, stated = _mean(slide["mpp"]), slide["mpp_file"]
    low, high = USUAL_MPP
    if slide["mpp_source"] == "override" and stated and _differ(used, _mean(stated)):
        return (
            f"the resolution was given as {used:.3g} µm/px, the file states "
            f"{_mean(stated):.3g} µm/px: one of them is wrong"
        )
    if not low <= used <= high:
        return (
            f"the slide's px are {used:.3g} µm; pathology scanners make {low:g} to {high:g} µm: "
            "sizes, and what the model saw, may be wrong"
        )
    analysed = _mean(facts["grid"]["mpp"])
    if trained and _differ(analysed, trained):
        return (
            f"analysed at {analysed:.3g} µm/px; the model was made for {trained:.3g} µm/px and "
            "sees cells of another size"
        )
    return ""


def _unlike_training(facts: Facts, _: Cells) -> str:
    """The slide's mean optical densities lie beyond three sigma of the training patches'.

    The limit is that of single patches, though the slide's are means of many: laboratories differ
    more than the patches of one of them do.
    """
    distance = facts["colours"]["distance"]
    if distance is None or distance <= FAR_COLOURS:
        return ""
    return (
        f"the tissue's colours are far from those the model was trained on (distance "
        f"{distance:.1f}, limit {FAR_COLOURS:.1f}): another stain or scanner, or a wrong file"
    )


def _colours_corrected(facts: Facts, _: Cells) -> str:
    """The pixels were decoded otherwise than the file says; results made before state nothing."""
    cause = facts["slide"].get("colours_corrected", "")
    if not cause:
        return ""
    return f"the slide's colours are labelled wrongly and were corrected: {cause}"


def _no_background(facts: Facts, _: Cells) -> str:
    """Of the scanned cells none is glass, or every one.

    A section lies on glass that is scanned with it. With wrong colours or too dark a picture all
    of it counts as tissue, with a pale stain none. Below 16 cells it may be chance; and a
    piece cut out of a slide may be tissue all over: the sentence says so.
    """
    counts = facts["counts"]
    glass = counts["glass"]
    scanned = sum(counts.values()) - counts["empty"] - counts["unreadable"]
    if scanned < _LEAST_SCANNED or 0 < glass < scanned:
        return ""
    if glass:
        return (
            f"all {scanned:,} scanned cells are glass: the slide is empty, its stain is too pale "
            "for the tissue rule, or its colours are wrong"
        )
    return (
        f"none of the {scanned:,} scanned cells is glass: the slide's colours may be wrong, "
        "unless the picture is a piece cut out of tissue"
    )


def _unreadable_tissue(facts: Facts, _: Cells) -> str:
    """Any cell of tissue that could not be decoded: tumour in it would have been missed."""
    lost = facts["counts"]["unreadable"]
    return f"{lost:,} cells of tissue could not be read" if lost else ""


def _synthetic_model(facts: Facts, _: Cells) -> str:
    """The package says that it was trained on synthetic tissue."""
    if not facts["model"]["synthetic"]:
        return ""
    return "the model was trained on synthetic tissue: what it says of real tissue means nothing"


_RULES: dict[str, Callable[[Facts, Cells], str]] = {
    "tumour-on-glass": _tumour_on_glass,
    "one-valued": _one_valued,
    "unlike-training": _unlike_training,
    "colours-corrected": _colours_corrected,
    "no-background": _no_background,
    "implausible-mpp": _implausible_mpp,
    "unreadable-tissue": _unreadable_tissue,
    "too-few-tiles": _too_few_tiles,
    "synthetic-model": _synthetic_model,
}


def _mean(mpp: Mapping[str, float]) -> float:
    return (mpp["x"] + mpp["y"]) / 2


def _differ(one: float, other: float) -> bool:
    return not 1 / _ANOTHER_OBJECTIVE <= one / other <= _ANOTHER_OBJECTIVE
