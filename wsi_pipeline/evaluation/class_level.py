"""Class level: figures of every class of a model with several, and which were taken for which."""

from collections.abc import Sequence

import numpy as np

from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.class_truth import UNKNOWN, ClassCells, background_of
from wsi_pipeline.evaluation.json_metrics import Json, Values, estimate, redraw, shares
from wsi_pipeline.evaluation.score_counts import count_scores
from wsi_pipeline.evaluation.segmentation import pooled
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.ranking import roc_auc


def class_level(every: Sequence[Assessment], settings: EvaluationSettings) -> Json | None:
    """Dice, IoU and AUC of each class, and the confusion of all over cells.

    Intervals draw slides. None where no result is of several classes and fully annotated. Results
    of other classes than the first one's are left out, and named.
    """
    found = [(s, s.class_cells) for s in every if s.class_cells is not None]
    if not found:
        return None
    classes = found[0][1].classes
    chosen = [(s, one) for s, one in found if one.classes == classes]
    cells = [one for _, one in chosen]
    drawn = redraw([s for s, _ in chosen], settings)
    labels = classes.labels
    truth = np.concatenate([one.truth for one in cells])
    called = np.concatenate([one.called for one in cells]).astype(np.int64)
    known = truth != UNKNOWN
    size = max(labels) + 1
    pairs = truth[known].astype(np.int64) * size + called[known]
    confusion = np.bincount(pairs, minlength=size * size).reshape(size, size)
    return {
        "slides": len(chosen),
        "left_out": [s.slide.name for s, one in found if one.classes != classes],
        "cells": int(known.sum()),
        "task": classes.task,
        "positive": classes.positive,
        "background": background_of(classes),
        "labels": [one.name for one in labels.values()],
        "confusion": confusion.tolist(),
        "accuracy": estimate(
            float(np.trace(confusion) / confusion.sum()) if confusion.sum() else float("nan"),
            _accuracies(cells, drawn),
        ),
        "classes": [
            {"name": one.name, "colour": one.colour, **_figures(cells, plane, drawn)}
            for plane, one in enumerate(classes.planes)
        ],
    }


def _figures(cells: Sequence[ClassCells], plane: int, drawn: Values) -> Json:
    """Of one class against all others."""
    name = cells[0].classes.planes[plane].name
    holds = [one.holds[one.truth != UNKNOWN, plane] for one in cells]
    scores = [one.probability[one.truth != UNKNOWN, plane] for one in cells]
    overlaps = [one.overlaps[name] for one in cells]
    # In mm²: px of slides of other resolutions are of other sizes.
    areas = np.array([[o.both, o.tumour, o.mask] for o in overlaps], float)
    areas *= np.array([o.px_mm2 for o in overlaps])[:, None]
    there = areas[:, 1] > 0
    figures = {}
    for key in ("dice", "iou"):
        values = np.array([getattr(o, key) for o in overlaps], float)
        values = np.where(there, values, 0.0)
        figures[key] = {
            "mean": estimate(
                float(values[there].mean()) if there.any() else float("nan"),
                shares(drawn @ values, drawn @ there.astype(float)),
            ),
            "pooled": estimate(
                float(pooled(areas.sum(axis=0, keepdims=True), key)[0]),
                pooled(drawn @ areas, key),
            ),
        }
    return {
        "annotated_slides": sum(name in one.annotated for one in cells),
        "cells": int(sum(one.sum() for one in holds)),
        "truth_mm2": float(areas[:, 1].sum()),
        "mask_mm2": float(areas[:, 2].sum()),
        **figures,
        "auc": estimate(
            roc_auc(np.concatenate(holds), np.concatenate(scores)),
            count_scores(holds, scores).aucs(drawn),
        ),
    }


def _accuracies(cells: Sequence[ClassCells], drawn: Values) -> Values:
    right = np.array([np.count_nonzero(one.truth == one.called) for one in cells], float)
    all_known = np.array([np.count_nonzero(one.truth != UNKNOWN) for one in cells], float)
    return shares(drawn @ right, drawn @ all_known)
