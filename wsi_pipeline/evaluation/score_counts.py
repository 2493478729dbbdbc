"""Scores tallied per slide, so that figures of thousands of redrawn cohorts are matrix products."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wsi_pipeline.metrics.ranking import checked

#: Steps of score that are told apart for intervals; curves and figures themselves are exact.
STEPS = 2048
_AT_ONCE = 250

Weights = NDArray[np.float64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """Items of each slide by score, the highest first.

    Attributes:
        positive: Positives per slide and step of score, ``(slides, steps)``.
        negative: Negatives per slide and step of score, ``(slides, steps)``.
    """

    positive: Values
    negative: Values

    def aucs(self, weights: Weights) -> Values:
        """Area under the ROC curve of each redrawn cohort; NaN where a class is missing.

        Args:
            weights: How often each slide was drawn, ``(draws, slides)``.
        """
        return np.concatenate([self._aucs(part) for part in _parts(weights)])

    def _aucs(self, weights: Weights) -> Values:
        true, false = weights @ self.positive, weights @ self.negative
        below = false.sum(axis=1, keepdims=True) - np.cumsum(false, axis=1)
        pairs = true.sum(axis=1) * false.sum(axis=1)
        won = (true * (below + false / 2)).sum(axis=1)
        areas: Values = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
        return areas

    def average_precisions(self, weights: Weights) -> Values:
        """Average precision of each redrawn cohort; NaN without positives."""
        return np.concatenate([self._average_precisions(part) for part in _parts(weights)])

    def _average_precisions(self, weights: Weights) -> Values:
        true, false = weights @ self.positive, weights @ self.negative
        above = np.cumsum(true, axis=1)
        every = np.maximum(above + np.cumsum(false, axis=1), 1)
        total = above[:, -1]
        area = (true * above / every).sum(axis=1)
        areas: Values = np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)
        return areas

    def roc_rates(self, weights: Weights, at: Values) -> Values:
        """True positive rate of each redrawn cohort at some false positive rates.

        Returns:
            ``(draws, len(at))``; NaN where a class is missing.
        """
        rates = np.full((len(weights), len(at)), np.nan)
        for index, one in enumerate(weights):
            true, false = np.cumsum(one @ self.positive), np.cumsum(one @ self.negative)
            if true[-1] > 0 and false[-1] > 0:
                x, y = np.append(0, false / false[-1]), np.append(0, true / true[-1])
                rates[index] = np.interp(at, x, y)
        return rates

    def precisions(self, weights: Weights, at: Values) -> Values:
        """Precision of each redrawn cohort at some recalls, ``(draws, len(at))``."""
        found = np.full((len(weights), len(at)), np.nan)
        for index, one in enumerate(weights):
            true, false = np.cumsum(one @ self.positive), np.cumsum(one @ self.negative)
            if true[-1] > 0:
                recall, precision = true / true[-1], true / np.maximum(true + false, 1)
                place = np.searchsorted(recall, at, side="left").clip(max=len(recall) - 1)
                found[index] = precision[place]
        return found


def count_scores(labels: Sequence[ArrayLike], scores: Sequence[ArrayLike]) -> ScoreCounts:
    """ScoreCounts the items of some slides.

    Up to :data:`STEPS` different scores are kept apart; of more, neighbours are put together, so
    that steps hold about equally many items.

    Args:
        labels: Of each slide's items, True where positive.
        scores: Of each slide's items.
    """
    pairs = [checked(one, other) for one, other in zip(labels, scores, strict=True)]
    every = np.concatenate([values for _, values in pairs]) if pairs else np.empty(0)
    edges = np.unique(every)
    if len(edges) > STEPS:
        edges = np.unique(np.quantile(every, np.linspace(0, 1, STEPS), method="lower"))
    steps = max(len(edges), 1)
    positive, negative = np.zeros((len(pairs), steps)), np.zeros((len(pairs), steps))
    for index, (label, values) in enumerate(pairs):
        place = steps - np.searchsorted(edges, values, side="right")
        positive[index] = np.bincount(place[label], minlength=steps)
        negative[index] = np.bincount(place[~label], minlength=steps)
    return ScoreCounts(positive, negative)


def _parts(weights: Weights) -> list[Weights]:
    return [weights[start : start + _AT_ONCE] for start in range(0, len(weights), _AT_ONCE)]
