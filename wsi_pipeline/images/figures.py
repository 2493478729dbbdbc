"""How good the answers for labelled images are: figures of every class, with intervals.

The figures are scikit-learn's, but for the calibration error, which is freed of what chance adds.
Their intervals come from redrawn groups (patients, slides, smears), for which the same figures are
computed from counts, for all draws at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn import metrics as sk

from wsi_pipeline.images.redrawn_auc import redrawn_aucs
from wsi_pipeline.metrics.bootstrap import (
    Estimate,
    of_gaps,
    of_one_kind,
    percentiles,
    weights,
)
from wsi_pipeline.metrics.calibration import bin_of, reliability

Json = dict[str, Any]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Draws for an interval: fewer of many groups, whose intervals are narrow.
_DRAWS, _LEAST_DRAWS, _DRAWN_GROUPS = 1000, 200, 10_000_000
#: Of the reliability diagram, as usual (Guo et al. 2017).
_BINS = 15


@dataclass(frozen=True, slots=True)
class Cases:
    """Labelled images, and what a model says of them.

    Attributes:
        names: Of the model's classes, ``classes`` of them.
        positive: Index of the class of interest.
        truth: True where an image is of a class, ``(n, classes)``.
        called: True where it is called a class, ``(n, classes)``.
        probabilities: Calibrated, ``(n, classes)``.
        inside: True where a class is in the prediction set, ``(n, classes)``; None: no sets.
        groups: What each image belongs to and may not be drawn without, ``(n,)`` int64.
        strata: Kinds of groups that keep their numbers, by each image, ``(n,)`` int64.
    """

    names: tuple[str, ...]
    positive: int
    truth: Flags
    called: Flags
    probabilities: Values
    inside: Flags | None
    groups: NDArray[np.int64]
    strata: NDArray[np.int64]

    def part(self, chosen: Flags) -> "Cases":
        """Some of the images."""
        return Cases(
            self.names,
            self.positive,
            self.truth[chosen],
            self.called[chosen],
            self.probabilities[chosen],
            None if self.inside is None else self.inside[chosen],
            self.groups[chosen],
            self.strata[chosen],
        )


class _Draws:
    """How often each group is in each redrawn collection, and sums over its images."""

    def __init__(self, cases: Cases, seed: int) -> None:
        _, first, place = np.unique(cases.groups, return_index=True, return_inverse=True)
        count = len(first)
        resamples = max(_LEAST_DRAWS, min(_DRAWS, _DRAWN_GROUPS // max(count, 1)))
        self.groups, self.place = count, place.ravel()
        self.drawn = weights(cases.strata[first], resamples=resamples, seed=seed)
        images = np.arange(len(self.place))
        self._sum = sparse.csr_array((np.ones(len(images)), (self.place, images)))

    def sums(self, values: Values | Flags) -> Values:
        """Of values of images, ``(n, …)``, the sums over each redrawn collection."""
        return np.asarray(self.drawn @ (self._sum @ np.asarray(values, float)))

    def estimate(self, value: float, redrawn: Values, of: Flags | None = None) -> Json:
        """A figure with its interval; none where it has no meaning, or there is one group.

        Args:
            value: Of all images.
            redrawn: Of each redrawn collection.
            of: The images that it rests on, ``(n,)``; None: all.
        """
        groups = self.count(of)
        known = not np.isnan(value) and groups > 1
        return Estimate(float(value), percentiles(redrawn) if known else None).to_json()

    def share(self, part: Flags, whole: Flags | None = None) -> Json:
        """The share of some images among others, with its interval.

        Args:
            part: Which, ``(n,)``.
            whole: Among which, ``(n,)``; None: all.
        """
        among = np.ones(len(part), bool) if whole is None else whole
        value = float((part & among).sum() / among.sum()) if among.any() else float("nan")
        if value in (0.0, 1.0):
            return Estimate(value, of_one_kind(value, self.count(among))).to_json()
        redrawn = _shares(self.sums(part & among), self.sums(among))
        return self.estimate(value, redrawn, among)

    def count(self, of: Flags | None) -> int:
        """In how many groups some images are."""
        return self.groups if of is None else len(np.unique(self.place[of]))


def figures_of(cases: Cases, task: str, coverage: float, *, seed: int = 0) -> Json:
    """All figures of some images.

    Classes that none of the images is of have no recall, F1 and AUC; macro figures are means over
    the others. The precision of a class that nothing is called counts as 0 in the mean.

    Args:
        cases: At least one image.
        task: Of the model.
        coverage: That the sets were made for.
        seed: Of the draws.
    """
    draws = _Draws(cases, seed)
    per_class, macro = _of_classes(cases, draws)
    right = (cases.truth == cases.called).all(axis=1)
    return {
        "images": len(right),
        "groups": draws.groups,
        "accuracy": draws.share(right),
        "macro": macro,
        "classes": per_class,
        "baseline": _baseline(cases) if task != "multilabel" else None,
        "calibration": _calibration(cases, task, draws),
        "sets": _sets(cases, coverage, draws),
    }


def confusion_of(
    truth: NDArray[np.int64], called: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """How many images of each class, in rows, were called which, ``(count, count)``."""
    found: NDArray[np.int64] = sk.confusion_matrix(truth, called, labels=np.arange(count))
    return found


def _of_classes(cases: Cases, draws: _Draws) -> tuple[list[Json], Json]:
    there = cases.truth.any(axis=0)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        cases.truth, cases.called, average=None, zero_division=0
    )
    both, true, called = (
        draws.sums(part) for part in (cases.truth & cases.called, cases.truth, cases.called)
    )
    redrawn = {
        "precision": _shares(both, called),
        "recall": _shares(both, true),
        "f1": _shares(2 * both, true + called),
        "auc": redrawn_aucs(cases.truth, cases.probabilities, draws.drawn, draws.place),
    }
    values = {
        "precision": np.where(cases.called.any(axis=0), precision, np.nan),
        "recall": np.where(there, recall, np.nan),
        "f1": np.where(there, f1, np.nan),
        "auc": np.array([_auc(cases, index) for index in range(len(cases.names))]),
    }
    per_class = []
    for index, name in enumerate(cases.names):
        truth, yes = cases.truth[:, index], cases.called[:, index]
        per_class.append(
            {
                "name": name,
                "images": int(support[index]),
                "called": int(yes.sum()),
                "precision": draws.share(truth, yes),
                "recall": draws.share(yes, truth),
                **{
                    figure: draws.estimate(values[figure][index], redrawn[figure][:, index], truth)
                    for figure in ("f1", "auc")
                },
            }
        )
    macro = {}
    for figure, every in values.items():
        some = there & ~np.isnan(every) if figure == "auc" else there
        whole = np.nan_to_num(every[some]) if figure == "precision" else every[some]
        again = redrawn[figure][:, some]
        if figure == "precision":
            again = np.nan_to_num(again)
        macro[figure] = draws.estimate(
            float(whole.mean()) if some.any() else float("nan"), _mean(again)
        )
    return per_class, macro


def _auc(cases: Cases, index: int) -> float:
    truth = cases.truth[:, index]
    if truth.all() or not truth.any():
        return float("nan")
    return float(sk.roc_auc_score(truth, cases.probabilities[:, index]))


def _baseline(cases: Cases) -> Json:
    """What always answering with the most frequent class gets; the first one where equal."""
    counts = cases.truth.sum(axis=0)
    most, classes = int(counts.argmax()), int((counts > 0).sum())
    share = float(counts[most] / counts.sum())
    return {
        "class": cases.names[most],
        "accuracy": share,
        "macro_recall": 1 / classes,
        "macro_f1": 2 * share / (1 + share) / classes,
    }


def _calibration(cases: Cases, task: str, draws: _Draws) -> Json:
    """Whether probabilities agree with frequencies: the reliability diagram and its error.

    Of a model of several classes: the probability of the class it calls, and how often that is
    right. Of a binary one the positive class's, of a multilabel one those of all classes together.
    """
    if task == "multiclass":
        values = cases.probabilities.max(axis=1, keepdims=True)
        right = (cases.truth & cases.called).any(axis=1, keepdims=True)
    elif task == "binary":
        column = slice(cases.positive, cases.positive + 1)
        values, right = cases.probabilities[:, column], cases.truth[:, column]
    else:
        values, right = cases.probabilities, cases.truth
    values = np.clip(values, 0, 1)
    whole = reliability(right.ravel(), values.ravel(), _BINS)
    # Each value goes into its bin's column, and every redrawn collection sums the columns.
    columns = bin_of(values.ravel(), _BINS)
    images = np.repeat(np.arange(len(values)), values.shape[1])
    shape = (len(values), _BINS)

    def binned(part: Values) -> Values:
        spread = sparse.coo_array((part, (images, columns)), shape).tocsr()
        return draws.sums(spread.toarray())

    differences = values.ravel() - right.ravel()
    totals = draws.sums(np.full(len(values), float(values.shape[1])))
    redrawn = binned(differences) / totals[:, None]
    gaps = np.bincount(columns, differences, _BINS) / values.size
    filled = whole.count > 0
    return {
        "error": (
            of_gaps(gaps, redrawn) if draws.groups > 1 else Estimate(whole.error, None)
        ).to_json(),
        "uncorrected": whole.error,
        "bins": [
            {"images": int(n), "probability": float(p), "frequency": float(f)}
            for n, p, f in zip(
                whole.count[filled], whole.probability[filled], whole.frequency[filled], strict=True
            )
        ],
    }


def _sets(cases: Cases, coverage: float, draws: _Draws) -> Json | None:
    """How often prediction sets hold the truth, and how many images have to be looked at again."""
    if cases.inside is None:
        return None
    held: Flags = np.any(cases.inside & cases.truth, axis=1)
    single: Flags = np.equal(cases.inside.sum(axis=1), 1)
    right = (cases.truth & cases.called).any(axis=1) & single
    return {
        "asked": coverage,
        "coverage": draws.share(held),
        "review": draws.share(~single),
        "empty": float((cases.inside.sum(axis=1) == 0).mean()),
        "accuracy_of_the_others": draws.share(right, single),
    }


def _shares(part: Values, whole: Values) -> Values:
    result: Values = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return result


def _mean(values: Values) -> Values:
    """Over columns, without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return _shares(np.where(known, values, 0).sum(axis=1), known.sum(axis=1).astype(float))
