"""What is concluded from a finished training: temperature, decisions, figures; for slides."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.training.operating_point import Decision, decide, reliability_json
from wsi_pipeline.training.patch_metrics import measures
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.run import Trained


@dataclass(frozen=True)
class Conclusion:
    """What a package is made of beside the weights, and what the report says.

    Attributes:
        temperature: What logits are divided by.
        threshold: Probability at and above which an image is positive.
        chosen: How the threshold was chosen.
        fitted: How the temperature was fitted.
        margins: How far each validation patch is from another decision, ``(n,)``.
        order: Of the validation patches from one end to the other, so that some at even distances
            are of all kinds, ``(n,)``.
        metrics: For the description.
        report: Parts of the report.
        conformal: 1 - p(true class) of the validation images, ``(n,)``; None: no prediction sets.
    """

    temperature: float
    threshold: float
    chosen: str
    fitted: str
    margins: NDArray[np.float64]
    order: NDArray[np.float64]
    metrics: dict[str, float]
    report: dict[str, Any] = field(default_factory=dict)
    conformal: NDArray[np.float64] | None = None


def conclude_patches(
    recipe: Recipe, trained: Trained, unit: NDArray[np.int32], classes: tuple[str, ...]
) -> Conclusion:
    """Calibrate, decide and measure on validation patches of slides.

    Args:
        recipe: Says how to decide.
        trained: The network, and what it says of the validation patches.
        unit: The slide of each, ``(n,)``.
        classes: Normal, positive.
    """
    labels = trained.labels.astype(bool)
    decision = decide(labels, trained.logits, recipe.rule)
    probabilities = expit(trained.logits / decision.temperature)
    validation = measures(labels, probabilities, unit, decision.threshold)
    metrics = {
        "validation_patch_auc": validation["auc"]["value"],
        "validation_patch_recall": validation["recall"]["value"],
        "validation_patch_specificity": validation["specificity"]["value"],
        "validation_ece_before": round(decision.before.error, 6),
        "validation_ece_after": round(decision.after.error, 6),
    }
    chosen, fitted = told(decision, labels, classes[1])
    logits = trained.logits / decision.temperature
    threshold = np.log(decision.threshold / (1 - decision.threshold))
    return Conclusion(
        temperature=decision.temperature,
        threshold=decision.threshold,
        chosen=chosen,
        fitted=fitted,
        margins=np.abs(logits - threshold),
        order=logits,
        metrics={key: float(value) for key, value in metrics.items() if value is not None},
        report={
            "calibration": {
                "chosen_on": "validation patches only",
                "patches": len(labels),
                "tumour": int(labels.sum()),
                "temperature": decision.temperature,
                "before": reliability_json(decision.before),
                "after": reliability_json(decision.after),
            },
            "threshold": {
                "value": decision.threshold,
                "rule": str(decision.rule),
                "chosen_on": "validation patches only",
            },
            "validation": validation,
            "test": None,
        },
    )


def told(decision: Decision, labels: NDArray[np.bool_], positive: str) -> tuple[str, str]:
    """How threshold and temperature were chosen, for the description."""
    chosen = (
        f"{decision.rule} on {len(labels):,} validation patches only "
        f"({int(labels.sum()):,} {positive})"
    )
    fitted = (
        f"temperature by maximum likelihood on the same {len(labels):,} "
        f"validation patches; expected calibration error {decision.before.error:.4f} "
        f"before, {decision.after.error:.4f} after"
    )
    return chosen, fitted
