"""Folds of the cross-validation: whole groups of patches."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.lymph_node.patches import RealPatches

FOLDS = 10
#: The fold that no head that is handed on has seen: for the last test, and for the demonstration.
TEST_FOLD = 9


def folds_of(patches: RealPatches) -> NDArray[np.int64]:
    """The fold of each patch, ``(n,)``; a group is whole in one.

    Groups are spread by a hash of their names, fewer groups than folds one by one: each of three
    slides has a fold of its own.
    """
    names = sorted(set(patches.group))
    if len(names) <= FOLDS:
        fold = {name: number for number, name in enumerate(names)}
    else:
        fold = {name: _hash(name) % FOLDS for name in names}
    return np.array([fold[name] for name in patches.group])


def _hash(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)
