"""The density of a model's pooled features: a normal distribution around each class's mean.

The Mahalanobis distance of Lee et al. (2018) needs the inverse of a shared covariance, a thousand
numbers square, of some hundred patches. It is modelled as Tipping and Bishop (1999) do: its
leading principal components as they are, and one variance for all other directions. So the file is
small, the distance of a tile costs a product with 32 vectors, and the covariance is never singular.

Measured on blood cells of two laboratories and on three sources of H&E patches (decision 0034):
as good as the covariance shrunk by Ledoit and Wolf; the relative distance of Ren et al. (2021) was
far worse, for it takes away what all classes have in common, and laboratories differ in that.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

#: Principal components that are kept: fewer where there are few patches.
_COMPONENTS = 32
#: Patches for each component, at least: below, a component is noise.
_PATCHES_EACH = 4
#: Classes that have means of their own, at most: of more, all patches have one mean.
_MOST_CLASSES = 64
#: Training patches that are kept as examples.
_PROTOTYPES = 256
_LEAST = 1e-12


@dataclass(frozen=True)
class Density:
    """Where the features of the training patches lie.

    Attributes:
        means: Of each class, float32 ``(classes, d)``.
        basis: Leading principal components around the means, float16 ``(r, d)``.
        deviations: Standard deviation along each of them, float32 ``(r,)``.
        residual: Standard deviation along any other direction.
        prototypes: Some training patches, float16 ``(m, r)``: along the components, in standard
            deviations, from the mean of the means.
    """

    means: NDArray[np.float32]
    basis: NDArray[np.float16]
    deviations: NDArray[np.float32]
    residual: float
    prototypes: NDArray[np.float16]

    @property
    def features(self) -> int:
        """How many features a patch has."""
        return int(self.means.shape[1])

    def distances(self, features: Features) -> Features:
        """Mahalanobis distance from the nearest class, divided by the root of ``d``: about 1.

        Args:
            features: float32 ``(n, d)``; NaN or an infinite number gives NaN.

        Returns:
            float32 ``(n,)``.
        """
        return self._distances(*self._projected(features))

    def nearest(self, features: Features) -> Features:
        """Distance from the nearest training patch that is kept, along the leading components.

        In standard deviations of the training patches, divided by the root of twice the number of
        components: two patches drawn at random are about 1 apart.

        Args:
            features: float32 ``(n, d)``.

        Returns:
            float32 ``(n,)``.
        """
        return self._nearest(self.places(features))

    def distances_and_nearest(self, features: Features) -> tuple[Features, Features]:
        """:meth:`distances` and :meth:`nearest`, in half the time of one after the other."""
        away, projected = self._projected(features)
        places = projected[:, : len(self.basis)] / self.deviations
        return self._distances(away, projected), self._nearest(places)

    def places(self, features: Features) -> Features:
        """Where patches lie along the components, in standard deviations, ``(n, r)``."""
        away = features - self._centre
        places: Features = _products(away, self._directions[: len(self.basis)]) / self.deviations
        return places

    def _projected(self, features: Features) -> tuple[Features, Features]:
        """From the centre, ``(n, d)``, and along :attr:`_directions`, ``(n, r + classes)``."""
        away: Features = features - self._centre
        return away, _products(away, self._directions)

    def _distances(self, away: Features, projected: Features) -> Features:
        along, square = projected[:, : len(self.basis)], np.einsum("ij,ij->i", away, away)
        nearest = np.full(len(away), np.inf, np.float32)
        for index, (mean, place) in enumerate(self._class_means):
            inner = along - place
            whole = square - 2 * projected[:, len(self.basis) + index] + mean @ mean
            rest = np.maximum(whole - np.einsum("ij,ij->i", inner, inner), 0)
            scaled = inner / self.deviations
            found = np.einsum("ij,ij->i", scaled, scaled) + rest / self.residual**2
            nearest = np.minimum(nearest, found)
        distance: Features = np.sqrt(nearest / self.features).astype(np.float32)
        return distance

    def _nearest(self, places: Features) -> Features:
        kept = self._kept
        squares = (
            np.einsum("ij,ij->i", places, places)[:, None]
            + np.einsum("ij,ij->i", kept, kept)[None]
            - 2 * _products(places, kept)
        )
        least = np.maximum(squares.min(axis=1), 0)
        found: Features = np.sqrt(least / (2 * len(self.deviations))).astype(np.float32)
        return found

    # Asked for again and again: what does not change is computed once.

    @cached_property
    def _centre(self) -> Features:
        centre: Features = self.means.mean(axis=0)
        return centre

    @cached_property
    def _directions(self) -> Features:
        """The components, then the class means from the centre, ``(r + classes, d)``."""
        return np.concatenate([self.basis.astype(np.float32), self.means - self._centre])

    @cached_property
    def _class_means(self) -> list[tuple[Features, Features]]:
        """From the centre, ``(d,)``, and along the components, ``(r,)``."""
        basis = self.basis.astype(np.float32)
        return [(mean, basis @ mean) for mean in self.means - self._centre]

    @cached_property
    def _kept(self) -> Features:
        return self.prototypes.astype(np.float32)


def _products(rows: Features, others: Features) -> Features:
    """Every row times every other, ``(n, m)``.

    Not with BLAS: its threads would wait actively beside the model's for so little.
    """
    products: Features = np.einsum("ij,kj->ik", rows, others)
    return products


def fit_density(features: Features, labels: NDArray[np.int64], *, seed: int = 0) -> Density:
    """The density of training patches.

    Args:
        features: ``(n, d)``, n ≥ 8.
        labels: Class of each, ``(n,)``.
        seed: Chooses the examples that are kept.
    """
    values = np.asarray(features, np.float64)
    names, number = np.unique(labels, return_inverse=True)
    if len(names) > _MOST_CLASSES:
        names, number = names[:1], np.zeros(len(values), np.int64)
    means = np.stack([values[number == one].mean(axis=0) for one in range(len(names))])
    # float32 from here on: distances are measured from the means that are kept.
    kept = means.astype(np.float32)
    away = values - kept[number]
    freedom = max(1, len(values) - len(names))
    count = max(1, min(_COMPONENTS, len(values) // _PATCHES_EACH, values.shape[1] - 1))
    _, singular, components = np.linalg.svd(away, full_matrices=False)
    basis = components[:count].astype(np.float16)
    variances = np.square(singular[:count]) / freedom
    others = float(np.square(singular[count:]).sum()) / freedom / (values.shape[1] - count)
    residual = max(others, _LEAST) ** 0.5
    deviations = np.sqrt(np.maximum(variances, residual**2)).astype(np.float32)
    rng = np.random.default_rng([seed, 13])
    chosen = np.sort(rng.permutation(len(values))[:_PROTOTYPES])
    bare = Density(kept, basis, deviations, residual, np.zeros((0, count), np.float16))
    prototypes = bare.places(np.asarray(values[chosen], np.float32)).astype(np.float16)
    return Density(kept, basis, deviations, residual, prototypes)
