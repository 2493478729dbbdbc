"""CAMELYON17: a patient's stage from the kinds of metastasis in the lymph nodes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.cohort.table import Label
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.json_metrics import Json, Values, estimate, number
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.bootstrap import weights

Stage = Literal["pN0", "pN0(i+)", "pN1mi", "pN1", "pN2"]
STAGES: tuple[Stage, ...] = ("pN0", "pN0(i+)", "pN1mi", "pN1", "pN2")
KINDS: tuple[Label, ...] = ("normal", "itc", "micro", "macro")


def stage_of(nodes: Sequence[Label]) -> Stage:
    """A patient's stage by the challenge's rules.

    Nodes with isolated tumour cells alone are none of the nodes that are counted.

    Args:
        nodes: The kind of metastasis in each of the patient's lymph nodes: ``normal``, ``itc``,
            ``micro`` or ``macro``.
    """
    metastases = sum(node in ("micro", "macro") for node in nodes)
    if "macro" in nodes:
        return "pN1" if metastases <= 3 else "pN2"
    if metastases:
        return "pN1mi"
    return "pN0(i+)" if "itc" in nodes else "pN0"


def quadratic_kappa(table: NDArray[np.float64]) -> float:
    """Cohen's kappa with quadratic weights; NaN where both only ever say the same one thing.

    Args:
        table: How often the truth is row *i* and the answer column *j*, ``(n, n)``.
    """
    return float(_kappas(table.reshape(1, *table.shape))[0])


def staging(every: Sequence[Assessment], settings: EvaluationSettings) -> Json:
    """Stages of the patients all of whose slides are known, and their agreement.

    Raises:
        UsageError: no patient can be staged.
    """
    patients: dict[str, list[Assessment]] = {}
    for slide in every:
        patients.setdefault(slide.slide.patient_key, []).append(slide)
    rows: list[Json] = []
    left_out: list[str] = []
    for slides in patients.values():
        patient = slides[0].slide.patient
        true, predicted = [s.kind for s in slides], [s.predicted for s in slides]
        if any(kind not in KINDS for kind in (*true, *predicted)):
            left_out.append(patient)
            continue
        rows.append(
            {
                "patient": patient,
                "slides": len(slides),
                "stage": stage_of([kind for kind in true if kind]),
                "predicted": stage_of([kind for kind in predicted if kind]),
            }
        )
    if not rows:
        raise UsageError(
            "no patient can be staged: stages need results or --labels, and slides labelled "
            "normal, itc, micro or macro, or tumour with a full annotation"
        )
    pairs = np.array([[STAGES.index(r["stage"]), STAGES.index(r["predicted"])] for r in rows])
    return {
        "patients": rows,
        "left_out": left_out,
        "stages": list(STAGES),
        "confusion": _table(pairs, len(STAGES)).astype(int).tolist(),
        "kappa": _kappa(pairs, len(STAGES), settings),
        "slides": _slides(every, settings),
    }


def _slides(every: Sequence[Assessment], settings: EvaluationSettings) -> Json:
    """The same of slides by kind: the decision stages are made of."""
    known = [s for s in every if s.kind in KINDS and s.predicted in KINDS]
    pairs = np.array([[KINDS.index(s.kind), KINDS.index(s.predicted)] for s in known]).reshape(
        -1, 2
    )
    table = _table(pairs, len(KINDS))
    return {
        "kinds": list(KINDS),
        "confusion": table.astype(int).tolist(),
        "accuracy": number(float(np.trace(table) / max(table.sum(), 1))),
        "kappa": _kappa(pairs, len(KINDS), settings),
    }


def _kappa(pairs: NDArray[np.int64], classes: int, settings: EvaluationSettings) -> Json:
    """Kappa and its interval over redrawn patients, or slides."""
    one_hot = np.zeros((len(pairs), classes * classes))
    one_hot[np.arange(len(pairs)), pairs[:, 0] * classes + pairs[:, 1]] = 1
    # Not stratified: which stages occur is part of what is drawn.
    drawn = weights(np.zeros(len(pairs)), resamples=settings.resamples, seed=settings.seed)
    redrawn = (drawn @ one_hot).reshape(-1, classes, classes)
    return estimate(quadratic_kappa(_table(pairs, classes)), _kappas(redrawn))


def _table(pairs: NDArray[np.int64], classes: int) -> Values:
    table = np.zeros((classes, classes))
    np.add.at(table, (pairs[:, 0], pairs[:, 1]), 1)
    return table


def _kappas(tables: Values) -> Values:
    """Quadratic-weighted kappa of many tables, ``(tables, n, n)``."""
    places = np.arange(tables.shape[-1])
    distance = (places[:, None] - places) ** 2.0
    total = tables.sum(axis=(1, 2))
    expected = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    observed_distance = (distance * tables).sum(axis=(1, 2)) * total
    expected_distance = (distance * expected).sum(axis=(1, 2))
    ratio: Values = np.divide(
        observed_distance,
        expected_distance,
        out=np.full(len(tables), np.nan),
        where=expected_distance > 0,
    )
    return 1 - ratio
