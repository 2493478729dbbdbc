"""A slide beside what its model was trained on: distances of tiles, and what the result says."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.package import TRAINING_FEATURES, ModelPackage, load_package
from wsi_pipeline.run.colours import training_colours
from wsi_pipeline.run.screening import Screening
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.run.tile_values import TileExtra
from wsi_pipeline.shift.appearance import APPEARANCE
from wsi_pipeline.shift.channels import exchanged
from wsi_pipeline.shift.comparison import Difference, compare, rounding
from wsi_pipeline.shift.statistics import TrainingStatistics, read_statistics
from wsi_pipeline.stitch.shift_record import DifferenceRecord, ShiftRecord
from wsi_pipeline.tissue.colours import summarise

#: Columns of tiles, as the result's arrays are called.
DISTANCE, NEAREST = "distance", "nearest"
#: Index of the quantile of held-out tiles beyond which a tile is far: 99 %.
_FAR = 99
#: Tiles with nuclei from which their size is told.
_LEAST_NUCLEI = 6
_DIGITS = 4
_NOT_KEPT = (
    "the package does not keep what its training data looked like; wsi models familiarise adds it"
)
_TOO_FEW = "too few slides were held out when the model was trained, or no tile has tissue"


@dataclass(frozen=True, slots=True)
class TrainingDistance:
    """How far the features of each tile are from those of the training patches.

    A :class:`~wsi_pipeline.run.tile_values.TileExtra`.

    Attributes:
        package: Folder of the model package.
        sha256: What must be found there.
        planes: Numbers of an answer before its features.
        features: How many those are.
    """

    package: Path
    sha256: str
    planes: int
    features: int

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`~wsi_pipeline.run.tile_values.TileExtra`."""
        return DISTANCE, NEAREST

    def compute(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance from the nearest class, and from the nearest training patch, ``(n, 2)``."""
        statistics = _statistics(self.package, self.sha256)
        assert statistics is not None  # or nobody would ask
        assert statistics.features is not None
        density = statistics.features.density
        features = answers[:, self.planes : self.planes + self.features]
        return np.stack(density.distances_and_nearest(features), axis=1)


def extras_of(package: ModelPackage, features: int) -> tuple[TileExtra, ...]:
    """What is computed of each tile beside its answer.

    Args:
        package: The model.
        features: How many features the runtime answers with.
    """
    if not features or not package.knows_features:
        return ()
    planes = len(package.classes.planes)
    return (TrainingDistance(package.folder.resolve(), package.sha256, planes, features),)


def compare_shift(
    package: ModelPackage,
    answers: TileProbabilities,
    precision: str,
    screening: Screening | None = None,
) -> ShiftRecord:
    """What a result says of it.

    Args:
        package: The model.
        answers: Of the whole slide.
        precision: That they were computed in, as the runtime says it.
        screening: Which tiles the model was asked about; None: all.
    """
    extras = answers.extras
    if screening is not None:
        extras = {name: screening.of_all_tissue(values) for name, values in extras.items()}
    statistics, samples = _statistics(package.folder.resolve(), package.sha256), answers.samples
    colours, training = summarise(samples[:, :6].reshape(-1, 2, 3)), training_colours(package)
    swapped = ""
    if colours is not None and training is not None:
        swapped = exchanged(colours.mean, training.distance)
    nuclei = _nuclei(samples[:, APPEARANCE])
    if statistics is None:
        return ShiftRecord(reason=_NOT_KEPT, nuclei=nuclei, swapped=swapped)
    found = compare(statistics, samples[:, :APPEARANCE], extras.get(DISTANCE), precision)
    return ShiftRecord(
        unit=found.unit,
        level=found.level,
        p_value=_rounded(found.p_value),
        distance=_rounded(found.distance),
        reason=_TOO_FEW if found.p_value is None else "",
        kinds={name: _kind(one) for name, one in found.kinds.items()},
        nuclei=nuclei,
        training_nuclei=_rounded(statistics.nuclei),
        swapped=swapped,
        **_of_tiles(statistics, extras, precision),
    )


def _kind(one: Difference) -> DifferenceRecord:
    return DifferenceRecord(
        distance=float(f"{one.distance:.{_DIGITS}g}"),
        usual=_rounded(one.usual),
        limit=_rounded(one.limit),
        p_value=_rounded(one.p_value),
        units=one.units,
        words=one.words,
    )


def _of_tiles(
    statistics: TrainingStatistics, extras: Mapping[str, NDArray[np.float32]], precision: str
) -> dict[str, float]:
    distances, nearest = (extras.get(name) for name in (DISTANCE, NEAREST))
    if statistics.features is None or distances is None or nearest is None:
        return {}
    known = np.isfinite(distances)
    if not known.any():
        return {}
    limit = statistics.features.tiles[_FAR] * rounding(precision)
    return {
        "far": round(float(limit), _DIGITS),
        "far_tiles": round(float((distances[known] > limit).mean()), _DIGITS),
        "nearest": round(float(np.median(nearest[known])), _DIGITS),
        "usual_nearest": round(statistics.features.nearest, _DIGITS),
    }


def _nuclei(measured: NDArray[np.float32]) -> float | None:
    known = measured[~np.isnan(measured)]
    return _rounded(float(np.median(known))) if len(known) >= _LEAST_NUCLEI else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


@functools.lru_cache(maxsize=4)
def _statistics(folder: Path, sha256: str) -> TrainingStatistics | None:
    """Of a package, kept: a worker asks for it with every batch."""
    return read_statistics(load_package(folder, expect=sha256, only=(TRAINING_FEATURES,)))
