"""Limits of the three states, with a statement that holds whatever the model: risk control.

"Of slides called clear, at most α are positive" is a statement on slides *given* that they are
called clear, and how many those are is chance. Let the limit be the score of the (j + 1)-th of the
validation slides in ascending order. The j slides below it are independent draws of slides below
that limit, whatever the limit is. Two exact tests of "more than α" are made on the positive ones
among them, and the limit stands only if both reject at level δ:

- of all slides that may come: the count is binomial (Clopper and Pearson 1934);
- of the next j slides that are called clear: given how many of all 2j are positive, the count among
  the first j is hypergeometric. So the statement can be checked on as many slides as it was made
  from, whose share has chance of its own.

Several limits are tried as *Learn then Test* does it (Angelopoulos, Bates, Candès, Jordan and Lei
2021, fixed sequence): from the least j at which the tests can reject upwards, each at the full
level δ, until one does not; the last that did is the limit. The order is fixed before a label is
seen, and every limit accepted holds with confidence 1 - δ, provided that the share of positive
slides below a limit does not fall where the limit rises. A score that ranks slides at all is such.

Suspicious slides are the mirror image. Slides have to be independent: one of each patient.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom, hypergeom

Values = NDArray[np.float64]

ALPHA, DELTA, FALSE_ALARMS = 0.05, 0.1, 0.2


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit, and the validation slides it rests on.

    Attributes:
        value: Score below which slides are clear, or at and above which they are suspicious; None
            where no limit can be stated.
        slides: Validation slides on that side of it.
        wrong: Those among them that do not belong there.
        bound: Upper confidence bound of their share; None where there is no limit.
    """

    value: float | None
    slides: int = 0
    wrong: int = 0
    bound: float | None = None


def least_slides(alpha: float, delta: float) -> int:
    """How many slides on one side, none of them wrong, a limit needs."""
    j = math.ceil(math.log(delta) / math.log1p(-alpha) - 1e-9)  # (1 - α)^j ≤ δ
    while p_value(np.array([0]), np.array([j]), alpha)[0] > delta:
        j += 1
    return j


def p_value(wrong: NDArray[np.int64], slides: NDArray[np.int64], alpha: float) -> Values:
    """Of "more than ``alpha`` are wrong", the larger of both tests' p-values, ``(n,)``.

    Args:
        wrong: Among the slides on one side of a limit, ``(n,)``.
        slides: How many are on that side, ``(n,)``.
        alpha: Share of wrong ones.
    """
    # The least number among the next ones that is more than the share: with it, and the wrong
    # ones there are, the first half has so few most easily.
    total = wrong + np.floor(alpha * slides + 1e-9).astype(np.int64) + 1
    following = hypergeom.cdf(wrong, 2 * slides, np.minimum(total, 2 * slides), slides)
    following = np.where(total > 2 * slides, 0.0, following)
    return np.asarray(np.maximum(following, binom.cdf(wrong, slides, alpha)), np.float64)


def upper_bound(wrong: int, slides: int, delta: float) -> float:
    """Clopper and Pearson's one-sided upper bound of a share, with confidence ``1 - delta``."""
    return 1.0 if wrong >= slides else float(beta.ppf(1 - delta, wrong + 1, slides - wrong))


def clear_limit(
    scores: ArrayLike,
    positive: ArrayLike,
    alpha: float,
    delta: float,
    *,
    highest: float = math.inf,
) -> Limit:
    """The largest score such that of slides below it at most ``alpha`` are positive.

    Args:
        scores: Of validation slides no fit had seen, one of each patient, ``(n,)``; higher means
            more positive.
        positive: Whether each is, ``(n,)``.
        alpha: Share of positive ones, at most,
        delta: but for this probability.
        highest: No limit above it. It may depend on the labels: every limit that the order accepts
            holds, so a lower one may be taken.
    """
    values = np.asarray(scores, np.float64)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    # Wrong ones among the j slides before the one at place j, which is the limit.
    wrong = np.append(0, np.cumsum(np.asarray(positive, np.int64)[order]))
    places = np.arange(least_slides(alpha, delta), len(ranked))
    # No limit divides slides of one score.
    places = places[(ranked[places] > ranked[places - 1]) & (ranked[places] <= highest)]
    kept = np.cumprod(p_value(wrong[places], places, alpha) <= delta)
    if not kept.any():
        return Limit(None)
    j = int(places[int(kept.sum()) - 1])
    count = int(wrong[j])
    return Limit(float(ranked[j]), j, count, upper_bound(count, j, delta))


def suspicious_limit(
    scores: ArrayLike,
    positive: ArrayLike,
    false_alarms: float,
    delta: float,
    *,
    not_below: float | None = None,
) -> Limit:
    """The least score such that of slides at and above it at most so many are negative.

    Args:
        scores: As for :func:`clear_limit`.
        positive: Likewise.
        false_alarms: Share of negative slides, at most,
        delta: but for this probability.
        not_below: No limit below it: no slide is both clear and suspicious.
    """
    values, labels = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    mirrored = clear_limit(-values, ~labels, false_alarms, delta)
    if mirrored.value is None:
        return mirrored
    # Above the score of the slide that is the limit, and above the limit of clear slides.
    limit = float(np.nextafter(max(-mirrored.value, not_below or 0.0), np.inf))
    kept = values >= limit
    count, wrong = int(kept.sum()), int((kept & ~labels).sum())
    # A higher limit was tried before, and accepted, only where so many slides are above it.
    if count < least_slides(false_alarms, delta):
        return Limit(None)
    return Limit(limit, count, wrong, upper_bound(wrong, count, delta))


def one_of_each(groups: ArrayLike, seed: int = 0) -> NDArray[np.int64]:
    """Places of one slide of each patient, drawn at random, ascending: those are independent."""
    shuffled = np.random.default_rng(seed).permutation(len(np.asarray(groups)))
    _, first = np.unique(np.asarray(groups)[shuffled], return_index=True)
    return np.sort(shuffled[first])
