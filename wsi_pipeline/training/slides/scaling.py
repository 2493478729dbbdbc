"""What features become before a network sees them: standardised, or principal components of them.

Both are linear, so that a trained network takes them in: see :meth:`Scaling.folded`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.training.slides.bags import Bags

Values = NDArray[np.float64]
#: A number that hardly changes says nothing, and must not become large on another slide.
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Scaling:
    """``(features - mean) * matrix``, or ``@ matrix`` where components are kept.

    Attributes:
        mean: ``(features,)``.
        matrix: ``(features,)``, or ``(features, kept)``.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    @property
    def kept(self) -> int:
        """How many numbers are left."""
        return int(self.matrix.shape[-1])

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 ``(n, kept)`` of ``(n, features)``."""
        moved = values - self.mean
        scaled = moved * self.matrix if self.matrix.ndim == 1 else moved @ self.matrix
        return np.asarray(scaled, np.float32)

    def folded(
        self, weight: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A first layer for features as they are, of one for scaled ones.

        Args:
            weight: ``(hidden, kept)``.
            bias: ``(hidden,)``.

        Returns:
            Weight ``(hidden, features)`` and bias ``(hidden,)``.
        """
        given, matrix = weight.astype(np.float64), self.matrix.astype(np.float64)
        whole = given * matrix if matrix.ndim == 1 else given @ matrix.T
        moved = bias - whole @ self.mean.astype(np.float64)
        return whole.astype(np.float32), moved.astype(np.float32)


def fit_scaling(bags: Bags, train: Sequence[int], components: int | None) -> Scaling:
    """Fit to the tiles of some slides, every slide as much as the next.

    Args:
        bags: Features.
        train: Numbers of the slides.
        components: Principal components to keep and whiten; None: standardise all features.
    """
    mean = np.mean([bags[index].mean(0, dtype=np.float64) for index in train], axis=0)
    squares = np.zeros((bags.features, bags.features) if components else bags.features)
    for index in train:
        moved = bags[index] - mean
        squares += (moved.T @ moved if components else (moved**2).sum(0)) / len(moved)
    squares /= len(train)
    spread = np.sqrt(np.maximum(np.diag(squares) if components else squares, 0))
    scale = np.where(spread > _LEAST_SPREAD, 1 / np.maximum(spread, _LEAST_SPREAD), 0)
    matrix = scale
    if components:
        matrix = _components(squares * np.outer(scale, scale), components) * scale[:, None]
    return Scaling(mean.astype(np.float32), matrix.astype(np.float32))


def _components(correlation: Values, count: int) -> Values:
    """Whitened principal components, ``(features, kept)``, the largest first."""
    variance, axes = np.linalg.eigh(correlation)
    kept = np.argsort(-variance, kind="stable")[: min(count, len(variance))]
    kept = kept[variance[kept] > _LEAST_SPREAD]
    # Their sign is of no meaning, and libraries differ in it.
    turned = (
        axes[:, kept]
        * np.where(axes[np.abs(axes).argmax(0), np.arange(len(axes))] < 0, -1, 1)[kept]
    )
    return np.asarray(turned / np.sqrt(variance[kept]), np.float64)
