"""Whether two scores of the same items rank them differently well: DeLong's test.

DeLong, DeLong and Clarke-Pearson 1988, *Comparing the Areas under Two or More Correlated Receiver
Operating Characteristic Curves*, Biometrics 44:837; computed from midranks as Sun and Xu 2014,
*Fast Implementation of DeLong's Algorithm*, IEEE Signal Processing Letters 21:1389, do it: the time
grows as that of sorting. Items have to be independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from wsi_pipeline.metrics.ranking import checked

Values = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class AucDifference:
    """How far two areas under ROC curves are apart.

    Attributes:
        first: AUC of the first scores.
        second: AUC of the second ones.
        value: The second less the first.
        low: Lower end of the 95 % interval of the difference; NaN where it has no variance.
        high: Upper end of it.
        p: Two-sided p-value of "they do not differ"; 1 where both rank all items alike.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float


def compare_aucs(labels: ArrayLike, first: ArrayLike, second: ArrayLike) -> AucDifference:
    """Compare two scores of the same items.

    Args:
        labels: True where positive, ``(n,)``.
        first: Higher means more positive, ``(n,)``.
        second: The same by another model.

    Returns:
        All NaN where a class has fewer than two items.

    Raises:
        ValueError: the lengths differ, or a score is NaN.
    """
    positive, one = checked(labels, first)
    _, other = checked(labels, second)
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        return AucDifference(*(float("nan"),) * 6)
    aucs, covariance = auc_covariance(positive, np.stack([one, other]))
    difference = float(aucs[1] - aucs[0])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    spread = float(np.sqrt(max(variance, 0.0)))
    if spread < 1e-12:
        # Both order every pair alike, or differ by the same on every item: no test is needed.
        same = abs(difference) < 1e-12
        nothing = float("nan")
        return AucDifference(
            float(aucs[0]), float(aucs[1]), difference, nothing, nothing, 1.0 if same else 0.0
        )
    reach = float(norm.ppf((1 + LEVEL) / 2)) * spread
    return AucDifference(
        float(aucs[0]),
        float(aucs[1]),
        difference,
        difference - reach,
        difference + reach,
        float(2 * norm.sf(abs(difference) / spread)),
    )


def auc_covariance(positive: NDArray[np.bool_], scores: Values) -> tuple[Values, Values]:
    """AUCs of several scores, ``(k,)``, and their covariance, ``(k, k)``.

    Args:
        positive: Two of either at least, ``(n,)``.
        scores: ``(k, n)``.
    """
    some, others = scores[:, positive], scores[:, ~positive]
    m, n = some.shape[1], others.shape[1]
    ranks = rankdata(np.concatenate([some, others], axis=1), axis=1)
    # Of each positive the share of negatives below it; of each negative the positives above it.
    below = (ranks[:, :m] - rankdata(some, axis=1)) / n
    above = 1 - (ranks[:, m:] - rankdata(others, axis=1)) / m
    covariance = np.atleast_2d(np.cov(below)) / m + np.atleast_2d(np.cov(above)) / n
    return np.asarray(below.mean(axis=1), np.float64), np.asarray(covariance, np.float64)
