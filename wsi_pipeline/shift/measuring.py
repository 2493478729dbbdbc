"""Measures the statistics of training data from patches, their features and whose they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.shift.appearance import APPEARANCE, PARTS, Looks, Part, looks_of
from wsi_pipeline.shift.density import Density, Features, fit_density
from wsi_pipeline.shift.statistics import QUANTILES, FeatureStatistics, TrainingStatistics
from wsi_pipeline.shift.yardstick import Yardstick

#: Patches with tissue below which nothing is said.
LEAST_PATCHES = 8


@dataclass(frozen=True, slots=True)
class Measured:
    """Patches of training or of validation.

    Attributes:
        samples: As :func:`~wsi_pipeline.shift.sampling.sample_patch` gives them, ``(n, 12)``.
        unit: Number of the slide or image of each, ``(n,)``; no unit is in both parts.
        label: Number of the class of each, ``(n,)``.
        features: Pooled features of the finished model in fp32, ``(n, d)``; None: it has none.
    """

    samples: NDArray[np.float32]
    unit: NDArray[np.integer[Any]]
    label: NDArray[np.integer[Any]]
    features: Features | None = None

    @property
    def appearance(self) -> NDArray[np.float32]:
        """Colour, focus and texture, ``(n, 11)``."""
        return self.samples[:, :APPEARANCE]


def measure(unit: str, train: Measured, held_out: Measured) -> TrainingStatistics | None:
    """The statistics of a package; None where hardly a patch has tissue.

    Appearance is nothing that training changes, so the slides trained on serve as well as the
    others: each is compared with the mean of all others. Features are fitted to the patches
    trained on, so only held-out slides tell how far features of new slides are.

    Args:
        unit: What a unit is called: ``slide``, ``image`` or ``patch``.
        train: Patches trained on.
        held_out: Patches that were not.
    """
    known = ~np.isnan(train.appearance).any(axis=1)
    if known.sum() < LEAST_PATCHES:
        return None
    features = None
    if train.features is not None and held_out.features is not None and len(held_out.features):
        density = fit_density(train.features, np.asarray(train.label, np.int64))
        features = _features(density, held_out.features, held_out.unit)
    after = int(train.unit.max(initial=0)) + 1
    appearance = np.concatenate([train.appearance, held_out.appearance])
    means = unit_means(appearance, np.concatenate([train.unit, held_out.unit + after]))
    # Around the mean of all slides, as each of them is compared with the mean of the others.
    looks = Looks(means.mean(axis=0), looks_of(train.appearance[known]).covariance)
    return TrainingStatistics(
        unit=unit,
        patches=int(known.sum()),
        looks=looks,
        parts=unit_distances(looks, means),
        features=features,
        nuclei=_nuclei(train.samples[:, APPEARANCE]),
    )


def _nuclei(measured: NDArray[np.float32]) -> float | None:
    known = measured[~np.isnan(measured)]
    return float(np.median(known)) if len(known) >= LEAST_PATCHES else None


def unit_means(
    appearance: NDArray[np.float32], unit: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Mean appearance of each unit that has patches with tissue, ``(k, 11)``."""
    known = ~np.isnan(appearance).any(axis=1)
    looked = appearance[known].astype(np.float64)
    names, number = np.unique(unit[known], return_inverse=True)
    sums = np.zeros((len(names), APPEARANCE))
    np.add.at(sums, number, looked)
    means: NDArray[np.float64] = sums / np.bincount(number, minlength=len(names))[:, None]
    return means


def unit_distances(looks: Looks, means: NDArray[np.float64]) -> dict[Part, Yardstick]:
    """How far each unit's mean is from the mean of all others' means."""
    if len(means) < 2:
        return {part: Yardstick(np.empty(0)) for part in PARTS}
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    centred = Looks(np.zeros(looks.mean.shape), looks.covariance)
    return {part: Yardstick(values) for part, values in centred.distances(means - others).items()}


def _features(
    density: Density, features: Features, unit: NDArray[np.integer[Any]]
) -> FeatureStatistics:
    distances = density.distances(features)
    medians = [float(np.median(distances[unit == one])) for one in np.unique(unit)]
    return FeatureStatistics(
        density,
        np.quantile(distances, QUANTILES).astype(np.float32),
        float(np.median(density.nearest(features))),
        Yardstick(np.array(medians, np.float64)),
    )
