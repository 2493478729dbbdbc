"""What is concluded from a finished training on single images: calibration, sets, figures."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from wsi_pipeline.images.conformal import USUAL_COVERAGE, Conformal, scores_of
from wsi_pipeline.images.figures import Cases, confusion_of, figures_of
from wsi_pipeline.training.conclusion import Conclusion
from wsi_pipeline.training.images import ImageSource
from wsi_pipeline.training.operating_point import choose_threshold
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.run import Trained
from wsi_pipeline.training.temperature import fit_temperature

Json = dict[str, Any]
Values = NDArray[np.float64]


def conclude_images(
    recipe: Recipe,
    trained: Trained,
    classes: tuple[str, ...],
    positive: str,
    validation: ImageSource,
    others: dict[str, ImageSource],
    score: Callable[[ImageSource], Values],
) -> Conclusion:
    """Calibrate and decide on the validation images, then measure all parts.

    Args:
        recipe: Says how to decide between two classes.
        trained: The network, and what it says of the validation images, all of them in order.
        classes: By their numbers.
        positive: The class of interest.
        validation: The validation images.
        others: The parts that are only looked at now, ``test`` and maybe ``external``.
        score: Logits of a part, ``(n, classes)``.
    """
    labels, logits = trained.labels, trained.logits
    temperature = fit_temperature(labels, logits)
    probabilities = softmax(logits / temperature, axis=1)
    binary, place = len(classes) == 2, classes.index(positive)
    threshold = 0.5
    if binary:
        found = choose_threshold(labels == place, probabilities[:, place], recipe.rule)
        threshold = round(found, 6)
    conformal = Conformal(scores_of(probabilities, labels))

    def measured(source: ImageSource, values: Values) -> Json:
        shares = softmax(values / temperature, axis=1)
        called = shares.argmax(axis=1)
        if binary:
            called = np.where(shares[:, place] >= threshold, place, 1 - place)
        return _parts(source, shares, called, classes, place, conformal)

    report: Json = {
        "classes": list(classes),
        "positive": positive,
        "calibration": {
            "chosen_on": "validation images only",
            "images": len(labels),
            "temperature": temperature,
        },
        "threshold": {
            "value": threshold if binary else None,
            "rule": str(recipe.rule) if binary else "none: an image is of its most likely class",
            "chosen_on": "validation images only",
        },
        "conformal": {
            "images": len(labels),
            "coverage": USUAL_COVERAGE,
            "limit": conformal.limit(USUAL_COVERAGE),
            "review": "sets of one class are answers; others are to be looked at",
        },
        "validation": measured(validation, logits),
        "test": None,
        "external": None,
    }
    report |= {name: measured(source, score(source)) for name, source in others.items()}
    ordered = np.sort(log_softmax(logits / temperature, axis=1), axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    if binary:
        odds = np.log(threshold / (1 - threshold))
        margins = np.abs((logits[:, place] - logits[:, 1 - place]) / temperature - odds)
    error = report["validation"]["calibration"]["error"]["value"]
    return Conclusion(
        temperature=temperature,
        threshold=threshold,
        chosen=f"{recipe.rule} on {len(labels):,} validation images only"
        if binary
        else "not used: an image is of its most likely class",
        fitted=f"temperature by maximum likelihood on {len(labels):,} validation images; "
        f"expected calibration error {error:.4f} after",
        margins=margins,
        order=probabilities.argmax(axis=1) + probabilities.max(axis=1) / 2,
        metrics=_metrics(report),
        report=report,
        conformal=conformal.scores,
    )


def _parts(
    source: ImageSource,
    probabilities: Values,
    called: NDArray[np.int64],
    classes: tuple[str, ...],
    positive: int,
    conformal: Conformal,
) -> Json:
    """Figures of all images of a part, and of each source where there are several."""
    count = len(classes)
    labels = source.label
    names = np.array([image.source or "" for image in source.images])
    _, strata = np.unique(
        [f"{name} / {label}" for name, label in zip(names, labels, strict=True)],
        return_inverse=True,
    )
    cases = Cases(
        classes,
        positive,
        np.eye(count, dtype=bool)[labels],
        np.eye(count, dtype=bool)[called],
        probabilities,
        conformal.sets(probabilities, USUAL_COVERAGE),
        source.unit.astype(np.int64),
        strata.ravel().astype(np.int64),
    )
    task = "binary" if count == 2 else "multiclass"

    def some(chosen: NDArray[np.bool_]) -> Json:
        figures = figures_of(cases.part(chosen), task, USUAL_COVERAGE)
        counts = confusion_of(labels[chosen], called[chosen], count).tolist()
        return {**figures, "confusion": {"labels": list(classes), "counts": counts}}

    several = sorted(set(names.tolist()))
    return {
        **some(np.ones(len(labels), bool)),
        "sources": {
            name or "unknown": some(names == name) for name in (several if several[1:] else ())
        },
    }


def _metrics(report: Json) -> dict[str, float]:
    """The figures that the package itself carries."""
    found: dict[str, float] = {}
    for part in ("validation", "test", "external"):
        if report[part] is None:
            continue
        figures = report[part]
        known = {
            "accuracy": figures["accuracy"]["value"],
            "macro_f1": figures["macro"]["f1"]["value"],
            "macro_auc": figures["macro"]["auc"]["value"],
            "majority_baseline_accuracy": figures["baseline"]["accuracy"],
        }
        found |= {f"{part}_{name}": float(v) for name, v in known.items() if v is not None}
    return found
