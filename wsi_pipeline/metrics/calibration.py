"""Whether probabilities mean what they say: reliability diagrams and calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsi_pipeline.metrics.ranking import checked


@dataclass(frozen=True, slots=True)
class Reliability:
    """Items by their probability of being positive, in bins of equal width from 0 to 1.

    Attributes:
        edges: Where bins begin and end, ``(bins + 1,)``; the last one includes 1.
        count: Items per bin, ``(bins,)``.
        probability: Mean probability per bin, ``(bins,)``; NaN in an empty one.
        frequency: Share of positives per bin, ``(bins,)``; NaN in an empty one.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    probability: NDArray[np.float64]
    frequency: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of both, weighted by items; NaN of none."""
        filled = self.count > 0
        if not filled.any():
            return float("nan")
        gaps = np.abs(self.probability[filled] - self.frequency[filled])
        return float(gaps @ self.count[filled] / self.count.sum())


def reliability(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> Reliability:
    """Compare probabilities of the positive class with how often it was true.

    Raises:
        ValueError: the lengths differ, or a probability is not within 0-1.
    """
    positive, values = checked(labels, probabilities)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError("a probability is not between 0 and 1")
    place = bin_of(values, bins)
    count = np.bincount(place, minlength=bins)
    total = np.bincount(place, values, bins)
    true = np.bincount(place, positive.astype(np.float64), bins)
    mean, frequency = np.full(bins, np.nan), np.full(bins, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    np.divide(true, count, out=frequency, where=count > 0)
    return Reliability(np.linspace(0, 1, bins + 1), count.astype(np.int64), mean, frequency)


def bin_of(probabilities: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """The bin of each probability, from 0 on."""
    return np.minimum((probabilities * bins).astype(np.int64), bins - 1)


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = 15
) -> float:
    """Expected calibration error of the positive class's probability (Naeini et al. 2015).

    ``sum over bins of items / all * |mean probability - share of positives|``; NaN of none.
    """
    return reliability(labels, probabilities, bins).error
