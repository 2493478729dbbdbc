"""What a network's numbers mean: classes, the head behind them, the probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from wsi_pipeline.importing.source import (
    Floats,
    Head,
    ImportRefusedError,
    ImportRequest,
    Source,
)

#: Parts of names that make a class the one of interest, and beginnings that make it the other.
_POSITIVE = ("tumor", "tumour", "cancer", "malignant", "metasta", "carcinoma", "lymphocyte")
_NEGATIVE = ("non", "not", "no ", "no_", "neg", "without")


def describe_answers(
    path: Path, source: Source, request: ImportRequest, answers: Floats, told: list[str]
) -> dict[str, Any]:
    """Task, classes and head for ``model.yaml``.

    Args:
        path: The source, for messages.
        source: What it states of itself.
        request: What the user says of it.
        answers: The network's for the reference patches, ``(n,)`` or ``(n, k)``.
        told: What is guessed is added, a sentence each.

    Raises:
        ImportRefusedError: the answers are not finite, or not as many as the classes.
    """
    if not np.isfinite(answers).all():
        raise ImportRefusedError(path, "answers with numbers that are not finite (NaN)")
    count = 1 if answers.ndim == 1 else answers.shape[1]
    names = request.classes or source.classes
    if not names:
        names = ("tumour",) if count == 1 else tuple(f"class-{one}" for one in range(count))
        told.append(f"it does not name its classes: {', '.join(names)}; else pass --classes")
    if count == 1 and len(names) == 1:
        names = (f"not {names[0]}", names[0])
    if len(names) != max(count, 2):
        raise ImportRefusedError(
            path, f"answers with {count} numbers and {len(names)} classes are named; pass --classes"
        )
    positive = request.positive or _guessed(names, told)
    if positive not in names:
        raise ImportRefusedError(path, f"has no class {positive!r}; it has {', '.join(names)}")
    if count == 1 and positive != names[1]:
        raise ImportRefusedError(path, f"its one number is the probability of {names[1]}")
    head = request.head or _head(source, answers, told)
    if count == 1 or (count == 2 and head == "softmax"):
        task = "binary"
    else:  # two ready probabilities have a plane each
        task = "multilabel" if head == "sigmoid" else "multiclass"
    return {"task": task, "classes": list(names), "positive": positive, "head": head}


def _guessed(names: tuple[str, ...], told: list[str]) -> str:
    low = {name: name.lower() for name in names}
    likely = [
        name
        for name, text in low.items()
        if any(word in text for word in _POSITIVE) and not text.startswith(_NEGATIVE)
    ]
    positive = likely[0] if likely else names[-1]
    told.append(f"the class of interest is taken to be {positive}; else pass --positive")
    return positive


def _head(source: Source, answers: Floats, told: list[str]) -> Head:
    rows = answers.reshape(len(answers), -1)
    if source.head == "by number":
        return "sigmoid" if rows.shape[1] == 1 else "softmax"
    within = bool((rows >= 0).all() and (rows <= 1).all())
    ready = within and (rows.shape[1] == 1 or np.allclose(rows.sum(1), 1, atol=1e-4))
    head: Head = "none" if ready else "sigmoid" if rows.shape[1] == 1 else "softmax"
    what = "probabilities" if ready else f"logits, whose {head} is taken"
    told.append(f"its answers are taken to be {what}; else pass --head")
    return head


def probabilities_of(path: Path, fields: dict[str, Any], answers: Floats) -> Floats:
    """Probabilities as a package's reference has them: ``(n,)`` binary, else ``(n, k)``.

    Args:
        path: The source, for messages.
        fields: ``task``, ``classes``, ``positive`` and ``head`` of ``model.yaml``.
        answers: The network's, ``(n,)`` or ``(n, k)``.

    Raises:
        ImportRefusedError: they are to be probabilities and are not.
    """
    rows = answers.reshape(len(answers), -1).astype(np.float64)
    if fields["head"] == "none" and not ((rows >= 0).all() and (rows <= 1).all()):
        raise ImportRefusedError(
            path, f"answers from {rows.min():.3g} to {rows.max():.3g}: these are no probabilities"
        )
    if fields["head"] == "sigmoid":
        rows = special.expit(rows)
    if fields["head"] == "softmax":
        rows = special.softmax(rows, axis=1)
    if fields["task"] == "binary":
        column = fields["classes"].index(fields["positive"]) if rows.shape[1] == 2 else 0
        rows = rows[:, column]
    return rows.astype(np.float32)


def features_of(path: Path, answers: Floats) -> Floats:
    """Features as an encoder's reference has them: ``(n, features)``.

    Raises:
        ImportRefusedError: the answers are no row of finite numbers for each patch.
    """
    if answers.ndim != 2:
        raise ImportRefusedError(
            path,
            f"answers with {list(answers.shape)} numbers, no row for each patch; pass --pooling",
        )
    if not np.isfinite(answers).all():
        raise ImportRefusedError(path, "answers with numbers that are not finite (NaN)")
    return answers
