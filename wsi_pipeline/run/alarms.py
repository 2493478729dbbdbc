"""Alarms: what a person must check before using a result, each by a rule with a source.

All are judged from what a result says of itself, so that anybody can judge again.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import logit
from wsi_pipeline.run.shift_alarms import (
    exchanged_channels,
    no_background,
    nuclei_size,
    unlike_training,
)
from wsi_pipeline.slide.resolution import USUAL_MPP
from wsi_pipeline.stitch.alarm import Alarm
from wsi_pipeline.stitch.record import Record

Cells = NDArray[np.float32]

#: mm²: a tissue-microarray core 0.6 mm across (Kononen et al. 1998), the smallest specimen in
#: common use.
LEAST_AREA_MM2 = math.pi * 0.3**2
#: Odds ratio within which all answers of a model count as one.
_SAME_ODDS = 1.01
#: Cells below which equal answers may be chance.
_SEVERAL = 8
#: Scanned tiles, four by four, from which the lack of glass or of tissue is no chance.
_LEAST_SCANNED = 16
#: Objectives are a factor of two apart: beyond its root, a resolution is nearer to another one's.
_ANOTHER_OBJECTIVE = math.sqrt(2)


def find_alarms(record: Record, probability: Cells) -> list[Alarm]:
    """The alarms of a result.

    Args:
        record: What it says of itself; its alarms do not count.
        probability: Its cells, float32 ``(rows, columns)``; NaN = not classified.
    """
    known = probability[~np.isnan(probability)]
    found = ((code, rule(record, known)) for code, rule in _RULES.items())
    return [Alarm(code, sentence) for code, sentence in found if sentence]


def _tumour_on_glass(record: Record, _: Cells) -> str:
    """A control, clean glass, reaches the threshold.

    Classifiers that call every part of a slide tumour do so on glass too, where anybody can see
    that it is wrong. One is enough: there is nothing on clean glass to be mistaken about.
    """
    if record.controls is None:
        return ""
    answers = [value for value in record.controls.probabilities if value is not None]
    # In float32, as everywhere: 0.5 stored and 0.5 asked for must meet.
    wrong = [value for value in answers if value >= np.float32(record.threshold)]
    if not wrong:
        return ""
    return (
        f"the model calls {len(wrong)} of {len(answers)} tiles of clean glass "
        f"{record.classes.positive} (probability up to {max(wrong):.2f}): its results on the "
        "tissue are doubtful"
    )


def _one_valued(_: Record, known: Cells) -> str:
    """The odds of all cells agree to within 1 %.

    Stain and texture move a living network's logit by far more from tile to tile; a dead one
    (weights lost, input blank, output saturated) answers with its bias.
    """
    if len(known) < _SEVERAL:
        return ""
    low, high = logit(known.min()), logit(known.max())
    if high - low > math.log(_SAME_ODDS):
        return ""
    value = float(known.max())
    return f"the model gives one value for all cells ({value:.3g}): its answers mean nothing"


def _too_few_tiles(record: Record, _: Cells) -> str:
    """Less tissue was classified than one tissue-microarray core holds."""
    area = record.tissue_area_mm2
    # Of an encoder there is neither score nor percentage.
    if area >= LEAST_AREA_MM2 or not record.classes.members:
        return ""
    return (
        f"only {record.tiles:,} tiles ({area:.2g} mm²) were classified, less than a "
        f"tissue-microarray core of {LEAST_AREA_MM2:.2g} mm²: score and percentage are unreliable"
    )


def _implausible_mpp(record: Record, _: Cells) -> str:
    """A resolution that is nearer to another objective's, or that hardly any scanner makes.

    Three comparisons: the resolution given by hand with the file's; the file's with what
    pathology scanners make (:data:`~wsi_pipeline.slide.resolution.USUAL_MPP`); the resolution
    analysed with the model's. Where the model states a pyramid level, its resolution is that of
    this slide's level.
    """
    slide = record.slide
    used, stated = slide.mpp.side, slide.mpp_file
    low, high = USUAL_MPP
    found: list[str] = []
    if slide.mpp_source == "override" and stated and _differ(used, stated.side):
        found.append(
            f"the resolution was given as {used:.3g} µm/px, the file states "
            f"{stated.side:.3g} µm/px: one of them is wrong"
        )
    elif not low <= used <= high:
        found.append(
            f"the slide's px are {used:.3g} µm; pathology scanners make {low:g} to {high:g} µm: "
            "sizes and the model's input may be wrong"
        )
    analysed = record.grid.mpp.side
    trained, made_for = _trained(record)
    if trained and _differ(analysed, trained):
        found.append(
            f"analysed at {analysed:.3g} µm/px; the model was made for {made_for} and sees cells "
            "of another size"
        )
    return "; ".join(found)


def _trained(record: Record) -> tuple[float | None, str]:
    """µm per px the model was made for, on this slide, and in words; None where nothing says."""
    slide, model = record.slide, record.model
    if model.mpp:
        return model.mpp, f"{model.mpp:.3g} µm/px"
    level = model.level
    if level is None or level >= len(slide.levels):
        return None, ""
    mpp = slide.mpp.side * slide.levels[level].downsample
    return mpp, f"pyramid level {level} ({mpp:.3g} µm/px here)"


def _non_square_pixels(record: Record, _: Cells) -> str:
    """The slide's px are at least 2 % longer along one axis than along the other.

    They are resampled to square ones; but hardly any scanner makes such px, so the file may be
    wrong, and along the finer axis detail was reduced.
    """
    mpp = record.slide.mpp
    if mpp.is_square:
        return ""
    return (
        f"the slide's px are not square ({mpp}): they were resampled to square ones; if the file "
        "states this wrongly, areas and what the model saw are wrong"
    )


def _colours_corrected(record: Record, _: Cells) -> str:
    """The pixels were decoded otherwise than the file says; results made before state nothing."""
    cause = record.slide.colours_corrected
    return f"the slide's colours are labelled wrongly and were corrected: {cause}" if cause else ""


def _unreadable_tissue(record: Record, _: Cells) -> str:
    """Any cell of tissue that could not be decoded: tumour in it would have been missed."""
    lost = record.counts.unreadable
    return f"{lost:,} cells of tissue could not be read" if lost else ""


def _much_rejected(record: Record, _: Cells) -> str:
    """Quality control marks more of the tissue than the settings allow to be rejected.

    Tumour lies anywhere: what is judged of half of the tissue says little of the rest.
    """
    quality = record.quality
    if quality is None or not quality.marked or quality.share <= quality.limit:
        return ""
    most = max(quality.reasons, key=quality.reasons.__getitem__)
    what = (
        f"quality control marks {quality.share:.0%} of the tissue (most of it {most}), more than "
        f"the limit of {quality.limit:.0%}"
    )
    if quality.withheld:
        return f"{what}: nothing was rejected, and the result rests on marked tissue"
    return f"{what}: the result rests on tissue that can hardly be judged"


def _stain_not_normalised(record: Record, _: Cells) -> str:
    """The model has slides normalised, and how this one is stained could not be told."""
    stain = record.stain
    if stain is None or not stain.reason or not record.tiles:
        return ""
    return (
        f"the slide's stain was not normalised ({stain.method}): {stain.reason}; the model sees "
        "other colours than it was made for"
    )


def _screen_failed(record: Record, _: Cells) -> str:
    """The model calls tiles positive that its screen calls surely negative.

    The slide was then analysed without the screen; that the promise failed on it is told all the
    same, for it says that the screen does not know such slides.
    """
    screen = record.screen
    if screen is None or not screen.wrong:
        return ""
    return (
        f"the screen's control failed: {screen.reason}; the slide was analysed again without the "
        "screen. If this comes often, validate the screen on such slides, or use --screen off"
    )


def _synthetic_model(record: Record, _: Cells) -> str:
    """The package says that it was trained on synthetic tissue."""
    if not record.model.synthetic:
        return ""
    return "the model was trained on synthetic tissue: its results on real tissue mean nothing"


_RULES: dict[str, Callable[[Record, Cells], str]] = {
    "tumour-on-glass": _tumour_on_glass,
    "one-valued": _one_valued,
    "unlike-training": lambda record, _: unlike_training(record),
    "exchanged-channels": lambda record, _: exchanged_channels(record),
    "colours-corrected": _colours_corrected,
    "stain-not-normalised": _stain_not_normalised,
    "no-background": lambda record, _: no_background(record, _LEAST_SCANNED),
    "implausible-mpp": _implausible_mpp,
    "nuclei-size": lambda record, _: nuclei_size(record),
    "non-square-pixels": _non_square_pixels,
    "unreadable-tissue": _unreadable_tissue,
    "much-rejected": _much_rejected,
    "screen-failed": _screen_failed,
    "too-few-tiles": _too_few_tiles,
    "synthetic-model": _synthetic_model,
}


def _differ(one: float, other: float) -> bool:
    return not 1 / _ANOTHER_OBJECTIVE <= one / other <= _ANOTHER_OBJECTIVE
