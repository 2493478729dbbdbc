"""The answer of a package for a slide: what a result says of it as a whole."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.slide_level_section import SlideLevelSection
from wsi_pipeline.slide_level.calibration import interval, positive_of
from wsi_pipeline.slide_level.features import cell_mm, feature_names, features_of
from wsi_pipeline.slide_level.region_fit import KINDS, read_fit
from wsi_pipeline.slide_level.state import NO_FIT, state_of
from wsi_pipeline.stitch.record import Record
from wsi_pipeline.stitch.slide_answer_record import MAX, SlideAnswerRecord, SlideRuleRecord

Values = NDArray[np.float64]
#: Decimals of a probability, as results keep it.
_DIGITS = 6


def slide_answer(
    package: ModelPackage, record: Record, probability: NDArray[np.float32]
) -> SlideAnswerRecord | None:
    """What the package says of a slide whose cells were classified.

    Args:
        package: The model.
        record: All else that the result says of itself; its alarms count.
        probability: Of the cells, see :func:`~wsi_pipeline.slide_level.features.features_of`.

    Returns:
        None where the package's answer is of another kind, which is computed elsewhere, and of an
        encoder by itself, which answers nothing.

    Raises:
        PackageError: the package's fit cannot be used.
    """
    section = package.description.slide_level
    if package.description.has_features_only:
        return None
    if section is None:
        return SlideAnswerRecord(method=MAX, state="look-again", reason=NO_FIT)
    if section.kind not in KINDS:
        return None
    features = features_of(package.classes, probability, cell_mm(record.grid, record.slide))
    codes = [alarm.code for alarm in record.alarms]
    if features is None:
        return answer_of(section, None, np.zeros((0, len(section.classes))), codes)
    fit = read_fit(package)
    try:
        found, drawn = fit.probabilities(features), fit.drawn_probabilities(features)
    except (ValueError, IndexError) as error:
        wanted = len(feature_names(package.classes))
        raise PackageError(
            package.folder,
            f"its fit for slides was not made with the {wanted} features of this version; make it "
            "again with wsi train --slide-level",
        ) from error
    return answer_of(section, found, drawn, codes)


def with_answer(record: Record, answer: SlideAnswerRecord) -> Record:
    """A record with an answer; where that is a probability, it is the slide's score."""
    if answer.probability is None:
        return replace(record, slide_answer=answer)
    rule = f"probability of the slide by the package's fit ({answer.method})"
    return replace(
        record, slide_answer=answer, slide_score=answer.probability, slide_score_rule=rule
    )


def answer_of(
    section: SlideLevelSection,
    probabilities: Values | None,
    drawn: Values,
    alarms: Collection[str],
) -> SlideAnswerRecord:
    """The record of an answer, of whatever kind of fit.

    Args:
        section: Of the package.
        probabilities: Calibrated, of all classes, ``(classes,)``; None: nothing was classified.
        drawn: The same by each drawing, ``(draws, classes)``.
        alarms: Codes of the result's alarms.
    """
    about = section.rule
    rule = SlideRuleRecord(
        alpha=about.alpha,
        delta=about.delta,
        false_alarms=about.false_alarms,
        slides=about.slides,
        positives=about.positives,
        clear_below=about.clear_below,
        suspicious_from=about.suspicious_from,
    )
    if probabilities is None:
        state, reason = state_of(None, about, alarms)
        return SlideAnswerRecord(method=section.kind, state=state, reason=reason, rule=rule)
    positive = float(positive_of(probabilities, section.negative_index))
    low, high = interval(positive, positive_of(drawn, section.negative_index))
    state, reason = state_of(positive, about, alarms)
    return SlideAnswerRecord(
        method=section.kind,
        probability=round(positive, _DIGITS),
        low=round(low, _DIGITS),
        high=round(high, _DIGITS),
        probabilities={
            name: round(float(value), _DIGITS)
            for name, value in zip(section.classes, probabilities, strict=True)
        },
        state=state,
        reason=reason,
        rule=rule,
    )
