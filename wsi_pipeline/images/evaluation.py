"""Compares the table of a run with labels: all images, and those of each source."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Classes
from wsi_pipeline.images.figures import Cases, confusion_of, figures_of
from wsi_pipeline.images.table import Row

Json = dict[str, Any]

#: Between the labels of an image that is of several classes.
SEVERAL = ";"


def evaluate(rows: Sequence[Row], classes: Classes, coverage: float) -> Json | None:
    """Figures of the images whose label is a class of the model.

    Images with another label are in the confusion matrix and in no figure, and are counted.

    Args:
        rows: Of the table.
        classes: Of the model.
        coverage: That prediction sets were made for.

    Returns:
        Plain values for JSON; None where no image with an answer has a label.
    """
    labelled = [row for row in rows if row.verdict is not None and row.outcome.image.label]
    if not labelled:
        return None
    truths = [labels_of(row.outcome.image.label or "", classes) for row in labelled]
    unknown = Counter(name for names in truths for name in names if name not in classes.names)
    known = [
        (row, names)
        for row, names in zip(labelled, truths, strict=True)
        if all(name in classes.names for name in names)
    ]
    told = {
        "positive": classes.positive,
        "task": classes.task,
        "labelled": len(labelled),
        "unlabelled": sum(row.verdict is not None for row in rows) - len(labelled),
        "unknown_labels": dict(sorted(unknown.items())),
        "grouped": all(row.outcome.image.group is not None for row in labelled),
    }
    if not known:
        return {**told, "all": None, "sources": {}}
    cases = _cases(known, classes)
    sources = np.array([row.outcome.image.source or "" for row, _ in known])
    names = sorted(set(sources.tolist()))
    labels = (*classes.names, *sorted(unknown))

    def part(chosen: NDArray[np.bool_], rows: Sequence[Row]) -> Json:
        figures = figures_of(cases.part(chosen), classes.task, coverage)
        return {**figures, "confusion": _confusion(rows, labels, classes)}

    every = np.ones(len(known), bool)
    return {
        **told,
        "all": part(every, labelled),
        "sources": {
            name or "unknown": part(
                sources == name,
                [row for row in labelled if (row.outcome.image.source or "") == name],
            )
            for name in (names if len(names) > 1 else ())
        },
    }


def labels_of(label: str, classes: Classes) -> tuple[str, ...]:
    """The classes that a label names: of a multilabel model any number of them."""
    if classes.task != "multilabel":
        return (label,)
    return tuple(name for one in label.split(SEVERAL) if (name := one.strip()))


def _cases(known: Sequence[tuple[Row, tuple[str, ...]]], classes: Classes) -> Cases:
    names = classes.names

    def flags(sets: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
        return np.array([[name in members for name in names] for members in sets], bool)

    rows = [row for row, _ in known]
    verdicts = [row.verdict for row in rows if row.verdict is not None]
    members = [one.members for one in verdicts if one.members is not None]
    images = [row.outcome.image for row in rows]
    # An image without a group is a group of its own.
    groups = [
        f"group {one.group}" if one.group is not None else f"image {one.path}" for one in images
    ]
    place = np.unique(groups, return_inverse=True)[1].ravel()
    # Groups are drawn among those of their source, and of the label of their first image.
    strata = [f"{one.source} / {one.label}" for one in images]
    return Cases(
        names,
        names.index(classes.positive),
        flags([labels for _, labels in known]),
        flags([one.called for one in verdicts]),
        np.array([row.outcome.answer.probabilities for row in rows if row.outcome.answer]),
        flags(members) if len(members) == len(rows) else None,
        place,
        np.unique(strata, return_inverse=True)[1].ravel(),
    )


def _confusion(rows: Sequence[Row], labels: Sequence[str], classes: Classes) -> Json | None:
    """All classes of the model and of the labels, also those that no image here is of."""
    if classes.task == "multilabel":
        return None  # an image may be of several
    place = {name: index for index, name in enumerate(labels)}
    pairs = [
        (place[row.outcome.image.label or ""], place[row.verdict.called[0]])
        for row in rows
        if row.verdict is not None
    ]
    truth, called = np.array(pairs).T
    return {"labels": list(labels), "counts": confusion_of(truth, called, len(labels)).tolist()}
