"""Two models on the same slides: each figure of both, the difference, and whether it is chance.

AUC of slides: DeLong's test. Everything else, and the AUC once more: paired bootstrap, in which
both models get the same drawn patients, with all their slides. A p-value is two-sided: twice the
smaller share of drawings in which the difference is not on its side of 0 (Efron and Tibshirani
1993, *An Introduction to the Bootstrap*, 15.4), never below two of their number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.cohort.table import Cohort
from wsi_pipeline.errors import UsageError, WsiError
from wsi_pipeline.evaluation.assessment import Assessment, assess
from wsi_pipeline.evaluation.cases import Pairing, Sources, SplitChoice, pair
from wsi_pipeline.evaluation.evaluation import NOTICE, Progress
from wsi_pipeline.evaluation.froc import froc_curve
from wsi_pipeline.evaluation.json_metrics import Json, Values, estimate, number
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.delong import compare_aucs
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.slide_level.calibration import drawn_weights

FORMAT = 1
Indices = NDArray[np.int64]
#: A figure of some slides, which may be there several times; NaN where it has no meaning.
Figure = Callable[[Sequence[Assessment]], float]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models: its results, as they were assessed."""

    path: Path
    slides: tuple[Assessment, ...]


def compare(
    cohort: Cohort,
    paths: tuple[Path, Path],
    split: SplitChoice | None,
    settings: EvaluationSettings,
    *,
    progress: Progress | None = None,
) -> Json:
    """Hold two folders of results against the same truth.

    Args:
        cohort: The table.
        paths: A folder of results of each model.
        split: As for :func:`~wsi_pipeline.evaluation.cases.pair`.
        settings: Rules, thresholds and seeds.
        progress: Told what is done.

    Raises:
        UsageError: there is no result, or no slide that both have.
        CohortError: see :func:`~wsi_pipeline.evaluation.cases.pair`.
    """
    pairings = [pair(cohort, Sources((path,)), split) for path in paths]
    named = [{case.slide.name for case in one.cases} for one in pairings]
    common = named[0] & named[1]
    if not common:
        raise UsageError(f"{paths[0]} and {paths[1]} have no slide in common; nothing to compare")
    found: list[dict[str, Assessment]] = []
    failed: list[dict[str, str]] = []
    for place, pairing in enumerate(pairings):
        done, bad = _assess(pairing, common, settings, f"{'AB'[place]}: ", progress)
        found.append(done)
        failed.append(bad)
    names = [
        case.slide.name
        for case in pairings[0].cases
        if case.slide.name in found[0] and case.slide.name in found[1]
    ]
    if not names:
        raise UsageError(f"no result of both could be assessed: {next(iter(failed[0].values()))}")
    sides = [
        Side(path, tuple(one[name] for name in names))
        for path, one in zip(paths, found, strict=True)
    ]
    if progress is not None:
        progress("figures", 0, 1)
    return {
        "format": FORMAT,
        "notice": NOTICE,
        "program": f"wsi-pipeline {metadata.version('wsi-pipeline')}",
        "split": pairings[0].split,
        "slides": names,
        "patients": len({slide.slide.patient_key for slide in sides[0].slides}),
        "only": {
            "a": sorted(named[0] - named[1]),
            "b": sorted(named[1] - named[0]),
            "neither": sorted(set.intersection(*(set(p.missing["results"]) for p in pairings))),
        },
        "failed": {"a": failed[0], "b": failed[1]},
        "models": {key: _about(side) for key, side in zip("ab", sides, strict=True)},
        "settings": settings.to_json(),
        "figures": figures_of(sides[0].slides, sides[1].slides, settings),
        "scores": [
            {"slide": one.slide.name, "label": one.slide.label, "a": one.score, "b": other.score}
            for one, other in zip(sides[0].slides, sides[1].slides, strict=True)
        ],
    }  # fmt: skip


def figures_of(
    first: Sequence[Assessment], second: Sequence[Assessment], settings: EvaluationSettings
) -> list[Json]:
    """Every figure of both, the difference with its interval, and its p-value.

    Args:
        first: Slides of one model.
        second: The same slides of the other, in the same order.
        settings: Of the bootstrap and of FROC.
    """
    groups = [slide.slide.patient_key for slide in first]
    strata = [0 if slide.positive is None else 1 + int(slide.positive) for slide in first]
    weights = drawn_weights(groups, strata, draws=settings.resamples, seed=settings.seed)
    drawn = [np.repeat(np.arange(len(first)), one.astype(np.int64)) for one in weights]
    rows = []
    for name, title, figure in _figures(settings):
        values = [figure(first), figure(second)]
        if all(np.isnan(values)):
            continue
        pairs = np.array(
            [
                [figure([some[i] for i in places.tolist()]) for some in (first, second)]
                for places in drawn
            ]
        )
        differences = pairs[:, 1] - pairs[:, 0]
        row = {
            "name": name,
            "title": title,
            "a": estimate(values[0], pairs[:, 0]),
            "b": estimate(values[1], pairs[:, 1]),
            "difference": estimate(values[1] - values[0], differences),
            "p": _p_value(differences),
            "test": "paired bootstrap over patients",
        }
        rows.append(row)
        if name == "slide_auc":
            rows.append({**row, **_delong(first, second)})
    return rows


def _assess(
    pairing: Pairing,
    common: set[str],
    settings: EvaluationSettings,
    what: str,
    progress: Progress | None,
) -> tuple[dict[str, Assessment], dict[str, str]]:
    """Slides that both have, by name; and why others could not be assessed."""
    found, failed = {}, {}
    cases = [case for case in pairing.cases if case.slide.name in common]
    for done, case in enumerate(cases, start=1):
        try:
            found[case.slide.name] = assess(case, settings)
        except WsiError as error:
            failed[case.slide.name] = str(error)
        if progress is not None:
            progress(what + case.slide.name, done, len(cases))
    return found, failed


def _about(side: Side) -> Json:
    models = {
        f"{origin[1].model.name} {origin[1].model.version}": origin[1].model.sha256
        for origin in (slide.origin for slide in side.slides)
        if origin is not None
    }
    rules = sorted({slide.score_rule for slide in side.slides})
    return {"results": side.path.name, "models": models, "score": rules}


def _figures(settings: EvaluationSettings) -> list[tuple[str, str, Figure]]:
    def froc(slides: Sequence[Assessment]) -> float:
        curve = froc_curve([slide.hits for slide in slides if slide.hits is not None])
        return float("nan") if curve is None else curve.score(settings.froc.interpolation)

    return [
        ("slide_auc", "slide AUC", _auc),
        ("sensitivity", "sensitivity of slides", lambda slides: _rate(slides, positive=True)),
        ("specificity", "specificity of slides", lambda slides: _rate(slides, positive=False)),
        ("accuracy", "accuracy of slides", _accuracy),
        ("brier", "Brier score of slides", _brier),
        ("froc", "FROC", froc),
        ("dice", "mean Dice", lambda slides: _mean_overlap(slides, "dice")),
        ("iou", "mean IoU", lambda slides: _mean_overlap(slides, "iou")),
    ]


def _scored(slides: Sequence[Assessment]) -> tuple[NDArray[np.bool_], Values, Values]:
    """Truth, score and threshold of the slides that have a label and a score."""
    some = [s for s in slides if s.positive is not None and s.score is not None]
    truth = np.array([bool(s.positive) for s in some], np.bool_)
    scores = np.array([float(s.score or 0) for s in some])
    limits = [s.slide_threshold for s in some]
    return truth, scores, np.array([np.nan if one is None else one for one in limits], float)


def _auc(slides: Sequence[Assessment]) -> float:
    truth, scores, _ = _scored(slides)
    return roc_auc(truth, scores)


def _rate(slides: Sequence[Assessment], *, positive: bool) -> float:
    truth, scores, limits = _scored(slides)
    right = (scores >= limits) == positive
    chosen = truth == positive
    known = bool(chosen.any()) and not np.isnan(limits).any()
    return float(right[chosen].mean()) if known else float("nan")


def _accuracy(slides: Sequence[Assessment]) -> float:
    truth, scores, limits = _scored(slides)
    known = bool(len(truth)) and not np.isnan(limits).any()
    return float(((scores >= limits) == truth).mean()) if known else float("nan")


def _brier(slides: Sequence[Assessment]) -> float:
    """Of fitted probabilities; the largest probability of a cell is none of a slide."""
    if any(slide.answer is None for slide in slides):
        return float("nan")
    truth, scores, _ = _scored(slides)
    return float(((scores - truth) ** 2).mean()) if len(truth) else float("nan")


def _mean_overlap(slides: Sequence[Assessment], name: str) -> float:
    values = [getattr(s.overlap, name) for s in slides if s.overlap is not None and s.positive]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _p_value(differences: Values) -> float | None:
    known = differences[~np.isnan(differences)]
    if not len(known):
        return None
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * max(smaller, 1) / len(known))


def _delong(first: Sequence[Assessment], second: Sequence[Assessment]) -> Json:
    """DeLong's row; it counts slides as independent."""
    both = [
        (bool(one.positive), float(one.score), float(other.score))
        for one, other in zip(first, second, strict=True)
        if one.positive is not None and one.score is not None and other.score is not None
    ]
    truth, ours, theirs = (np.array(column) for column in zip(*both, strict=True))
    found = compare_aucs(truth, ours, theirs)
    return {
        "difference": {
            "value": number(found.value),
            "low": number(found.low),
            "high": number(found.high),
        },
        "p": number(found.p),
        "test": "DeLong, slides as independent",
    }
