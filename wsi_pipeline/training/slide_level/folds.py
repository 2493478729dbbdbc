"""Folds of slides in which a patient's slides stay together."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def grouped_folds(
    groups: ArrayLike, truth: ArrayLike, folds: int, seed: int = 0
) -> NDArray[np.int64]:
    """The fold of each slide, from 0 on, ``(n,)``.

    Patients are dealt out by the rarest class among their slides, so that every fold has slides of
    every class where there are enough.

    Args:
        groups: Whose slide it is, ``(n,)``.
        truth: Index of its class, ``(n,)``.
        folds: How many there are.
        seed: Of the order in which patients are dealt.
    """
    labels = np.asarray(truth, np.int64)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    rarity = np.argsort(np.argsort(-np.bincount(labels), kind="stable"))
    kind = np.zeros(len(names), np.int64)
    np.maximum.at(kind, member, rarity[labels])
    rng = np.random.default_rng([seed, folds])
    order = rng.permutation(len(names))
    order = order[np.argsort(-kind[order], kind="stable")]
    fold = np.empty(len(names), np.int64)
    fold[order] = np.arange(len(names)) % folds
    return np.asarray(fold[member], np.int64)
