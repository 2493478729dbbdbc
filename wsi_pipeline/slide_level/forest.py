"""A forest as numbers, and what its trees answer: for machines without scikit-learn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ForestArrays:
    """Trees in arrays of one length each; a leaf leads to itself on both sides.

    Attributes:
        feature: What a node divides by, int64 ``(trees * nodes,)``.
        threshold: Up to which values go left, float64 ``(trees * nodes,)``.
        left: The next node, int64 ``(trees * nodes,)``.
        right: Likewise.
        share: Of the classes in a node, float64 ``(trees * nodes, classes)``.
        trees: How many there are.
        depth: Of the deepest.
    """

    feature: NDArray[np.int64]
    threshold: Values
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    share: Values
    trees: int
    depth: int

    @property
    def nodes(self) -> int:
        """Places for the nodes of each tree."""
        return len(self.feature) // self.trees

    def shares(self, features: Values) -> Values:
        """Shares of the classes in the leaf of each tree, float64 ``(n, trees, classes)``.

        Args:
            features: ``(n, features)``.
        """
        # In float32, as scikit-learn compares them.
        features = np.asarray(features, np.float32)
        node = np.tile(np.arange(self.trees) * self.nodes, (len(features), 1))
        for _ in range(self.depth):
            values = np.take_along_axis(features, self.feature[node], axis=1)
            node = np.where(values <= self.threshold[node], self.left[node], self.right[node])
        return np.asarray(self.share[node], np.float64)
