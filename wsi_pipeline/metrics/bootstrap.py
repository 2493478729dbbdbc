"""Bootstrap: how far a figure would move had other slides been drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
#: Of what was found, among which that of the truth is looked for.
_FACTORS = np.linspace(0, 3, 121)
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a stated confidence; both ends are included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval.

    Attributes:
        value: The figure of all units; NaN where it has no meaning.
        interval: None where no resample had a meaning either.
    """

    value: float
    interval: Interval | None

    def to_json(self) -> dict[str, float | None]:
        """``value``, ``low`` and ``high``; null where there is none."""
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        return {"value": None if np.isnan(self.value) else self.value, "low": low, "high": high}


def interval(
    statistic: Callable[[NDArray[np.int64]], float],
    strata: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval | None:
    """The percentile interval of a statistic over units drawn again with replacement.

    Each stratum keeps its size, as is usual for slides by label: an AUC needs both classes.

    Args:
        statistic: Of the drawn units' indices, ``(n,)``; NaN is left out.
        strata: What each unit belongs to, ``(n,)``: ``labels``, or ``np.zeros(n)`` for one.
        resamples: How often units are drawn.
        seed: The same seed draws the same units.
        level: Confidence, 0-1.

    Returns:
        The interval; None if the statistic was never a number.
    """
    drawn = draws(strata, resamples=resamples, seed=seed)
    return percentiles(np.array([statistic(indices) for indices in drawn], float), level)


def draws(strata: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.int64]:
    """Units drawn with replacement within their strata, ``(resamples, n)`` indices."""
    groups = np.unique(np.asarray(strata), return_inverse=True)[1].ravel()
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(groups)), np.int64)
    for group in range(int(groups.max(initial=-1)) + 1):
        members = np.flatnonzero(groups == group)
        chosen = rng.integers(0, len(members), (resamples, len(members)))
        drawn[:, members] = members[chosen]
    return drawn


def weights(strata: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """How often each unit was drawn, ``(resamples, n)``: the same draws as :func:`draws`.

    Sums over drawn units are then one matrix product.
    """
    drawn = draws(strata, resamples=resamples, seed=seed)
    count = drawn.shape[1]
    flat = (drawn + np.arange(resamples)[:, None] * count).ravel()
    return np.bincount(flat, minlength=resamples * count).reshape(resamples, count).astype(float)


def of_gaps(
    gaps: NDArray[np.float64], redrawn: NDArray[np.float64], level: float = LEVEL
) -> Estimate:
    """The sum of absolute gaps without what chance adds to it, with its interval.

    Such as a calibration error: chance alone makes it more than 0 on any images, and larger still
    on redrawn ones, so that percentiles of redrawn sums lie above the sum and often exclude it.
    Here the gaps are thought to be ``factor`` times those found, and the noise that of the draws.
    The interval is of all factors for which the sum that was found is not improbable, the estimate
    the factor for which it is the median (test inversion, Carpenter 1999, Journal of the Royal
    Statistical Society B 61:159). Both contain 0 where there may be nothing but chance.

    Args:
        gaps: Of all units, ``(gaps,)``.
        redrawn: Of the redrawn ones, ``(resamples, gaps)``.
        level: Confidence, 0-1.
    """
    found = float(np.abs(gaps).sum())
    if np.isnan(found) or not len(redrawn):
        return Estimate(found, None)
    noise, ends = redrawn - gaps, [(1 - level) / 2, 0.5, (1 + level) / 2]
    quantiles = np.array(
        [np.quantile(np.abs(factor * gaps + noise).sum(axis=1), ends) for factor in _FACTORS]
    )
    # They grow with the factor, but for chance in the draws.
    least = np.maximum.accumulate(quantiles, axis=0) <= found
    high, middle, low = (
        found * float(_FACTORS[max(0, int(np.count_nonzero(one)) - 1)]) for one in least.T
    )
    return Estimate(middle, Interval(low, high))


def of_one_kind(value: float, units: int, level: float = LEVEL) -> Interval | None:
    """The exact interval of a share that is 1, or 0, of so many units (Clopper and Pearson 1934).

    Drawing them again gives the same share each time, as if there were no doubt.

    Args:
        value: The share, 0 or 1.
        units: How many there are; of fewer than two nothing is said.
        level: Confidence, 0-1.
    """
    if units < 2:
        return None
    end = ((1 - level) / 2) ** (1 / units)
    return Interval(end, 1.0) if value else Interval(0.0, 1 - end)


def percentiles(values: NDArray[np.float64], level: float = LEVEL) -> Interval | None:
    """The interval that holds the middle ``level`` of the values; NaN are left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
