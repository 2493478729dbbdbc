"""What the head is worth: figures of held-out patches, each with its interval."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.special import expit
from scipy.stats import t as student

from wsi_pipeline.lymph_node.patches import RealPatches
from wsi_pipeline.metrics.bootstrap import Estimate, interval
from wsi_pipeline.metrics.confusion import Confusion
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.tissue.colours import patch_colours
from wsi_pipeline.training.operating_point import Decision, reliability_json

_DIGITS = 4
#: Groups of like colours that stand for laboratories and slides, which are not known.
_COLOUR_GROUPS = 12
#: Patches of either class from which a group has an AUC of its own.
_LEAST = 30


def worth_json(
    patches: RealPatches, logits: NDArray[np.float64], threshold: float
) -> dict[str, Any]:
    """AUC, sensitivity and specificity of one source.

    Intervals are bootstrapped by groups, whole. Groups of PatchCamelyon are overlaps and far
    smaller than slides, so that these intervals are for more patches of the same slides.

    Args:
        patches: Of the source.
        logits: After the temperature, of a head that never saw the patch's group, ``(n,)``.
        threshold: On probabilities.
    """
    called = expit(logits) >= threshold
    tumour = patches.tumour
    names = np.unique(np.array(patches.group), return_inverse=True)[1]
    order = np.argsort(names, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(names[order])) + 1)
    if len(members) < _LEAST:
        # Of three slides a bootstrap by slide says nothing; by patch it is too narrow, and told.
        members = [np.array([index]) for index in range(len(tumour))]
    label = np.array([int(tumour[group].any()) for group in members])

    def estimate(statistic: Any) -> dict[str, float | None]:
        def of_groups(drawn: NDArray[np.int64]) -> float:
            return float(statistic(np.concatenate([members[index] for index in drawn])))

        whole = float(statistic(np.arange(len(tumour))))
        found = Estimate(whole, interval(of_groups, label)).to_json()
        return {key: None if v is None else round(v, _DIGITS) for key, v in found.items()}

    return {
        "patches": len(patches),
        "tumour": int(tumour.sum()),
        "groups": len(set(patches.group)),
        "interval_by": "group" if len(members) < len(tumour) else "patch",
        "auc": estimate(lambda at: roc_auc(tumour[at], logits[at])),
        "sensitivity": estimate(lambda at: Confusion.of(tumour[at], called[at]).recall),
        "specificity": estimate(lambda at: Confusion.of(tumour[at], called[at]).specificity),
        **_between_colours(patches, logits),
    }


def _between_colours(patches: RealPatches, logits: NDArray[np.float64]) -> dict[str, Any]:
    """AUC within patches of like colours, and where the next such group's would lie.

    Laboratory, scanner and slide show in the colours. The interval is that of one more draw from a
    normal distribution whose mean and variance are estimated from the groups (Hahn and Meeker
    1991), cut at 1.
    """
    colours = np.array([patch_colours(patch).ravel() for patch in patches.pixels])
    known = ~np.isnan(colours).any(axis=1)
    if known.sum() < _COLOUR_GROUPS * 2 * _LEAST:
        return {}
    values = colours[known]
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    places = np.flatnonzero(known)
    _, group = kmeans2(values, _COLOUR_GROUPS, minit="++", seed=14)
    aucs = []
    for number in range(_COLOUR_GROUPS):
        at = places[group == number]
        positives = int(patches.tumour[at].sum())
        if min(positives, len(at) - positives) >= _LEAST:
            aucs.append(roc_auc(patches.tumour[at], logits[at]))
    mean, count = float(np.mean(aucs)), len(aucs)
    reach = float(student.ppf(0.975, count - 1) * np.std(aucs, ddof=1) * np.sqrt(1 + 1 / count))
    low, high = max(0.0, mean - reach), min(1.0, mean + reach)
    return {
        "auc_of_like_colours": [round(auc, _DIGITS) for auc in sorted(aucs)],
        "auc_of_another_slide": {
            "value": round(mean, _DIGITS),
            "low": round(low, _DIGITS),
            "high": round(high, _DIGITS),
        },
    }


def calibration_json(tumour: NDArray[np.bool_], decision: Decision) -> dict[str, Any]:
    """Temperature, threshold and reliability, all of held-out patches."""
    return {
        "temperature": decision.temperature,
        "threshold": decision.threshold,
        "rule": str(decision.rule),
        "patches": len(tumour),
        "before": reliability_json(decision.before),
        "after": reliability_json(decision.after),
    }
