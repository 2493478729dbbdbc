"""From results of slides whose class is known to a package with a fitted answer, and its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import CohortError, ResultError, UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.slide_level_section import (
    SlideCalibrationNote,
    SlideFigure,
    SlideLevelSection,
    SlideRule,
)
from wsi_pipeline.slide_level.calibration import DRAWS
from wsi_pipeline.slide_level.conformal import ALPHA, DELTA, FALSE_ALARMS, one_of_each
from wsi_pipeline.slide_level.features import cell_mm, features_of
from wsi_pipeline.slide_level.splits import random_splits
from wsi_pipeline.stitch.record import Record
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.training.slide_level.figures import figures_of
from wsi_pipeline.training.slide_level.fitting import LEAST, Fitted, Slides, fit_regions
from wsi_pipeline.training.slide_level.folds import grouped_folds
from wsi_pipeline.training.slide_level.package import write_with_fit
from wsi_pipeline.training.slide_level.table import LabelledSlide, LabelledSlides
from wsi_pipeline.training.slide_rule import slide_rule

Json = dict[str, Any]
Values = NDArray[np.float64]
Kind = Literal["regions-logistic", "regions-forest"]


@dataclass(frozen=True, slots=True)
class SlideOrder:
    """What is asked for.

    Attributes:
        out: Where the package goes.
        kind: Of the fit.
        alpha: Share of positive slides among the clear ones, at most,
        delta: but for this probability.
        false_alarms: Share of negative slides among the suspicious ones, at most, likewise.
        hold_out: Share of the patients that nothing is fitted to, for the limits; 0: limits rest
            on scores by fits that left out each slide's patient.
        seed: Of all that is random.
        version: Of the package; empty: that of the package it is made from, with a suffix.
        overwrite: Whether a package there may be replaced.
    """

    out: Path
    kind: Kind = "regions-logistic"
    alpha: float = ALPHA
    delta: float = DELTA
    false_alarms: float = FALSE_ALARMS
    hold_out: float = 0.0
    seed: int = 1
    version: str = ""
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name in ("alpha", "delta", "false_alarms"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} is above 0 and below 1")
        if not 0 <= self.hold_out <= 0.8:
            raise UsageError("--hold-out is 0, or a share of the patients up to 0.8")


@dataclass(frozen=True, slots=True)
class Scored:
    """A slide to fit to, and what its result says.

    Attributes:
        slide: Its row of the table.
        features: float64 ``(features,)``.
        score: Largest probability of a cell of the positive class.
    """

    slide: LabelledSlide
    features: Values
    score: float


def fit_package(
    package: ModelPackage,
    labelled: LabelledSlides,
    results: Sequence[tuple[LabelledSlide, Path]],
    order: SlideOrder,
) -> Json:
    """Fit to results, write the package.

    Args:
        package: The model that made the results.
        labelled: The table.
        results: Slides of it with their result stores.
        order: What is asked for.

    Returns:
        The report.

    Raises:
        ResultError: a result is damaged, of another package or made with other settings.
        CohortError: too few slides of a class have a result.
    """
    scored, left_out = _read(package, results)
    slides = _slides(labelled, scored)
    _check_enough(slides, labelled)
    fitted, rule_on, rule_rows = _fit(slides, labelled, order)
    negative = labelled.classes.index(labelled.negative)
    positive = slides.truth != negative
    rows = one_of_each(slides.groups[rule_rows], order.seed)
    chosen = rule_rows[rows]
    rule = _rule(rule_on[rows], positive[chosen], order)
    figures = figures_of(
        rule_on,
        np.array([one.score for one in scored])[rule_rows],
        positive[rule_rows],
        slides.groups[rule_rows],
        order.seed,
    )
    counts = {
        name: int((slides.truth == number).sum()) for number, name in enumerate(labelled.classes)
    }
    section = SlideLevelSection(
        kind=order.kind,
        classes=labelled.classes,
        negative=labelled.negative,
        fitted=f"{len(slides)} {labelled.split}; {fitted.details}",
        slides=counts,
        patients=len(set(slides.groups.tolist())),
        calibration=SlideCalibrationNote(
            method="Platt's sigmoid"
            if len(labelled.classes) == 2
            else "temperature with a bias for each class",
            fitted="scores of fits that left out each slide's patient",
        ),
        rule=rule,
        metrics={
            name: SlideFigure(**figures[name])
            for name in ("auc", "auc_max", "brier", "calibration_error")
            if figures[name]["value"] is not None
        },
    )
    version = order.version or f"{package.description.version}-slide-level"
    made = write_with_fit(
        package, order.out, section, fitted.fit, version=version, overwrite=order.overwrite
    )
    return {
        "format": 1,
        "kind": "slide-level",
        "program": f"wsi-pipeline {metadata.version('wsi-pipeline')}",
        "package": made.name,
        "version": version,
        "sha256": made.sha256,
        "from": {"sha256": package.sha256, "version": package.description.version},
        "synthetic": package.description.training.synthetic,
        "positive": package.classes.positive,
        "seed": order.seed,
        "left_out": left_out,
        "section": section.model_dump(mode="json"),
        "figures": figures,
        "splits": _splits(rule_on[rows], positive[chosen], order),
        "slides": [
            {
                "slide": scored[place].slide.name,
                "patient": scored[place].slide.patient,
                "label": scored[place].slide.label,
                "max": round(scored[place].score, 6),
                "probability": round(float(value), 6),
            }
            for place, value in zip(rule_rows.tolist(), rule_on.tolist(), strict=True)
        ],
    }


def _read(
    package: ModelPackage, results: Sequence[tuple[LabelledSlide, Path]]
) -> tuple[list[Scored], list[str]]:
    """Features of every slide, and the names of those on which nothing was classified."""
    scored: list[Scored] = []
    left_out: list[str] = []
    first: Record | None = None
    for slide, path in results:
        result = Result(path)
        record = result.record
        if record.model.sha256 != package.sha256:
            raise ResultError(
                path,
                f"was made with {record.model.name} {record.model.version}, not with this package; "
                "analyse the slide with it (another folder for the results does so)",
            )
        if first is not None and record.fingerprint != first.fingerprint:
            raise ResultError(
                path,
                "was made with other settings than the results before it; a fit needs results of "
                "one kind: analyse the slides again, with one set of options",
            )
        first = first or record
        probability = result.probability
        cell = cell_mm(record.grid, record.slide)
        features = features_of(record.classes, probability, cell)
        if features is None:
            left_out.append(slide.name)
            continue
        plane = record.classes.plane_of(record.classes.positive, probability)
        scored.append(Scored(slide, features, float(np.nanmax(plane))))
    return scored, left_out


def _slides(labelled: LabelledSlides, scored: Sequence[Scored]) -> Slides:
    return Slides(
        np.array([one.features for one in scored]).reshape(len(scored), -1),
        np.array([labelled.classes.index(one.slide.label) for one in scored], np.int64),
        np.array([one.slide.patient for one in scored]),
        len(labelled.classes),
    )


def _check_enough(slides: Slides, labelled: LabelledSlides) -> None:
    """Raise where a class has too few patients."""
    for number, name in enumerate(labelled.classes):
        count = len(set(slides.groups[slides.truth == number].tolist()))
        if count < LEAST:
            raise CohortError(
                None,
                f"slides of {count} patients are {name} and have a result; a fit needs at least "
                f"{LEAST} patients of each class among the {labelled.split}",
            )


def _fit(
    slides: Slides, labelled: LabelledSlides, order: SlideOrder
) -> tuple[Fitted, Values, NDArray[np.int64]]:
    """The fit; probabilities that the limits rest on; and whose they are."""
    negative = labelled.classes.index(labelled.negative)
    every = np.arange(len(slides))
    if not order.hold_out:
        fitted = fit_regions(order.kind, slides, draws=DRAWS, seed=order.seed)
        return fitted, fitted.positive(negative), every
    parts = 100
    fold = grouped_folds(slides.groups, slides.truth, parts, order.seed + 1)
    # Patients are dealt to the parts in turn, so a share of the parts is a share of the patients.
    held = np.isin(fold, np.linspace(0, parts - 1, round(order.hold_out * parts)).astype(int))
    some = slides.take(~held)
    _check_enough(some, labelled)
    fitted = fit_regions(order.kind, some, draws=DRAWS, seed=order.seed)
    wide = fitted.fit.calibration.probabilities(fitted.fit.scorer.scores(slides.features[held]))
    return fitted, np.delete(wide, negative, axis=1).sum(axis=1), every[held]


def _rule(probability: Values, positive: NDArray[np.bool_], order: SlideOrder) -> SlideRule:
    """The limits from slides of different patients.

    No slide is called clear that is more probable than one taken at random, and none suspicious
    that is less probable: what holds on average of all clear slides may be no comfort for one.
    """
    return slide_rule(
        probability,
        positive,
        alpha=order.alpha,
        delta=order.delta,
        false_alarms=order.false_alarms,
        parting=float(positive.mean()),
        scores="held-out" if order.hold_out else "out-of-fold",
    )


def _splits(probability: Values, positive: NDArray[np.bool_], order: SlideOrder) -> Json:
    """What becomes of the statement in random divisions of the slides."""
    found = random_splits(probability, positive, order.alpha, order.delta, seed=order.seed)
    return {
        "splits": len(found.clear),
        "kept": found.kept(order.alpha),
        "clear": found.clear.tolist(),
        "missed": found.missed.tolist(),
    }
