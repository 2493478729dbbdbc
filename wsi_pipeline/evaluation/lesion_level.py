"""Lesion level: which lesions were found, and at how many false positives per slide."""

from collections.abc import Sequence

import numpy as np

from wsi_pipeline.cohort.table import Label
from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.froc import FrocCurve, Hits, froc_curve
from wsi_pipeline.evaluation.json_metrics import (
    Json,
    Values,
    band,
    estimate,
    number,
    redraw,
    thinned,
)
from wsi_pipeline.evaluation.metastasis_size import kind_of
from wsi_pipeline.evaluation.settings import OPERATING_POINTS, EvaluationSettings, Interpolation
from wsi_pipeline.metrics.bootstrap import draws

_AT = np.concatenate([np.linspace(0, 1, 33), np.linspace(1, 8, 57)[1:]])
_INTERPOLATIONS: tuple[Interpolation, ...] = ("linear", "first-at-least", "last-at-most")


def lesion_level(every: Sequence[Assessment], settings: EvaluationSettings) -> Json | None:
    """FROC by the challenge's rule, with all six operating points.

    Slides whose tumour is not fully annotated are left out. None where no slide has both
    detections and a known truth.
    """
    slides = [s for s in every if s.hits is not None and s.detections is not None]
    met = [s.hits for s in slides if s.hits is not None]
    if not met:
        return None
    way = settings.froc.interpolation
    curve = froc_curve(met)
    return {
        "slides": len(met),
        "lesions": sum(one.counted for one in met),
        "isolated_tumour_cells": sum(int(one.itc.sum()) for one in met),
        "detections": sum(len(s.detections) for s in slides if s.detections is not None),
        "false_positives": sum(len(one.false_positives) for one in met),
        "found": sum(int(np.count_nonzero(one.lesions > 0)) for one in met),
        "interpolation": way,
        **_froc(curve, slides, met, settings),
        "other_interpolations": {
            other: None if curve is None else number(curve.score(other))
            for other in _INTERPOLATIONS
            if other != way
        },
        "by_lesion": _by_lesion(slides, settings),
    }


def _froc(
    curve: FrocCurve | None,
    slides: Sequence[Assessment],
    met: Sequence[Hits],
    settings: EvaluationSettings,
) -> Json:
    if curve is None:
        nothing = {"value": None, "low": None, "high": None}
        points = [{"false_positives": at, "sensitivity": nothing} for at in OPERATING_POINTS]
        return {"froc": nothing, "operating_points": points, "curve": None}
    way = settings.froc.interpolation
    strata = [int(bool(s.positive)) for s in slides]
    at_points = np.full((settings.resamples, len(OPERATING_POINTS)), np.nan)
    along = np.full((settings.resamples, len(_AT)), np.nan)
    for index, drawn in enumerate(draws(strata, resamples=settings.resamples, seed=settings.seed)):
        redrawn = froc_curve([met[slide] for slide in drawn])
        if redrawn is not None:
            at_points[index] = [redrawn.at(rate, way) for rate in OPERATING_POINTS]
            along[index] = np.interp(_AT, redrawn.false_positives, redrawn.sensitivity)
    columns = thinned(curve.false_positives, curve.sensitivity, curve.thresholds)
    return {
        "froc": estimate(curve.score(way), at_points.mean(axis=1)),
        "operating_points": [
            {
                "false_positives": rate,
                "sensitivity": estimate(curve.at(rate, way), at_points[:, index]),
            }
            for index, rate in enumerate(OPERATING_POINTS)
        ],
        "curve": {
            "false_positives": columns[0],
            "sensitivity": columns[1],
            "threshold": columns[2],
            "band": band(along, _AT),
        },
    }


def _by_lesion(slides: Sequence[Assessment], settings: EvaluationSettings) -> dict[str, Json]:
    """Of the lesions of each size, how many any detection found."""
    drawn = redraw(slides, settings)
    kinds: tuple[Label, ...] = ("macro", "micro")
    figures: dict[str, Json] = {}
    for kind in kinds:
        counts = np.array([_found(slide, kind) for slide in slides], float).reshape(-1, 2)
        if not counts[:, 1].any():
            continue
        found, every = (drawn @ counts).T
        rates: Values = np.divide(found, every, out=np.full(len(every), np.nan), where=every > 0)
        whole = counts.sum(axis=0)
        figures[kind] = {
            "lesions": int(whole[1]),
            "found": int(whole[0]),
            "sensitivity": estimate(float(whole[0] / whole[1]), rates),
        }
    return figures


def _found(slide: Assessment, kind: Label) -> tuple[int, int]:
    """Lesions of a kind that were found, and that there are; isolated tumour cells never are."""
    assert slide.hits is not None
    counted = ~slide.hits.itc
    # Lesions long enough to count are micro at least, also where rounding says otherwise.
    right = [
        ("macro" if kind_of(extent) == "macro" else "micro") == kind for extent in slide.extents_um
    ]
    chosen = counted & np.array(right, bool)
    return int(np.count_nonzero(slide.hits.lesions[chosen] > 0)), int(np.count_nonzero(chosen))
