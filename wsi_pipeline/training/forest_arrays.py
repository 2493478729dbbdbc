"""scikit-learn's trees as numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wsi_pipeline.slide_level.forest import ForestArrays


def forest_arrays(trees: Sequence[Any], classes: int) -> ForestArrays:
    """Trees in arrays of one length each.

    Args:
        trees: What scikit-learn calls ``tree_`` of each, which carries no types.
        classes: How many there are; every tree has been given all of them.
    """
    nodes = max(tree.node_count for tree in trees)
    shape = (len(trees), nodes)
    feature, threshold = np.zeros(shape, np.int64), np.zeros(shape)
    # A leaf, and a place that no node takes, leads to itself.
    own = np.arange(len(trees) * nodes).reshape(shape)
    left, right, share = own.copy(), own.copy(), np.zeros((*shape, classes))
    for number, tree in enumerate(trees):
        count = tree.node_count
        inner = tree.children_left >= 0
        feature[number, :count][inner] = tree.feature[inner]
        threshold[number, :count][inner] = tree.threshold[inner]
        left[number, :count][inner] = number * nodes + tree.children_left[inner]
        right[number, :count][inner] = number * nodes + tree.children_right[inner]
        weight = tree.value[:, 0, :]
        share[number, :count] = weight / weight.sum(axis=1, keepdims=True)
    return ForestArrays(
        feature=feature.ravel(),
        threshold=threshold.ravel(),
        left=left.ravel(),
        right=right.ravel(),
        share=share.reshape(-1, classes),
        trees=len(trees),
        depth=max(tree.max_depth for tree in trees),
    )
