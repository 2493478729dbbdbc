"""What a package knows of its training data: looks, feature density and held-out distances.

It is the content of ``training-features.npz``: numbers only, no pictures, a few hundred kB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import TRAINING_FEATURES, ModelPackage
from wsi_pipeline.model.pinning import write_npz
from wsi_pipeline.shift.appearance import APPEARANCE, PARTS, Looks, Part
from wsi_pipeline.shift.density import Density
from wsi_pipeline.shift.yardstick import Yardstick

#: Quantiles of held-out tiles' distances that are kept: every per cent.
QUANTILES = np.linspace(0, 1, 101)
#: Distances of held-out slides or images that are kept of each kind, at most.
_MOST_UNITS = 2000
_REVISION = 1


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """Of the model's pooled features.

    Attributes:
        density: Of the training patches.
        tiles: :data:`QUANTILES` of the distances of held-out patches, float32 ``(101,)``.
        nearest: Median distance of held-out patches from the nearest training patch.
        units: Median distance of each held-out slide, or distance of each image.
    """

    density: Density
    tiles: NDArray[np.float32]
    nearest: float
    units: Yardstick


@dataclass(frozen=True, slots=True)
class TrainingStatistics:
    """All of it.

    Attributes:
        unit: What counts as one: ``slide``, ``image``; or ``patch`` where slides are unknown.
        patches: How many training patches were measured.
        looks: Of the training patches.
        parts: How far in colour, focus and texture each slide or image is from the others.
        features: None of a model that answers with maps, which has no pooled features.
        nuclei: Median size of their nuclei in µm; None where unknown.
    """

    unit: str
    patches: int
    looks: Looks
    parts: Mapping[Part, Yardstick]
    features: FeatureStatistics | None
    nuclei: float | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As arrays of a file; the same statistics give the same arrays."""
        found: dict[str, NDArray[Any]] = {
            "revision": np.array([_REVISION]),
            "unit": np.frombuffer(self.unit.encode(), np.uint8),
            "patches": np.array([self.patches]),
            "appearance_mean": self.looks.mean.astype(np.float32),
            "appearance_covariance": self.looks.covariance.astype(np.float32),
            "nuclei": np.array([np.nan if self.nuclei is None else self.nuclei], np.float32),
            **{f"units_{part}": _units(one) for part, one in self.parts.items()},
        }
        if self.features is not None:
            density = self.features.density
            found |= {
                "means": density.means,
                "basis": density.basis,
                "deviations": density.deviations,
                "residual": np.array([density.residual], np.float32),
                "prototypes": density.prototypes,
                "tiles": self.features.tiles,
                "nearest": np.array([self.features.nearest], np.float32),
                "units_features": _units(self.features.units),
            }
        return found


def write_statistics(folder: Path, statistics: TrainingStatistics) -> None:
    """Put them into the folder of a package that is being made, before its files are pinned.

    Raises:
        OSError: they cannot be written.
    """
    write_npz(folder / TRAINING_FEATURES, **statistics.arrays())


def read_statistics(package: ModelPackage) -> TrainingStatistics | None:
    """A package's; None where it holds none.

    Raises:
        PackageError: the file does not hold such numbers.
    """
    arrays = package.training_features()
    if arrays is None:
        return None
    try:
        return _statistics(arrays)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise PackageError(
            package.folder,
            f"{TRAINING_FEATURES} is not what this version reads ({error}); make it again with "
            "wsi models familiarise",
        ) from error


def _statistics(arrays: Mapping[str, NDArray[Any]]) -> TrainingStatistics:
    if arrays["revision"].tolist() != [_REVISION]:
        raise ValueError(f"revision {arrays['revision'].tolist()}, not {_REVISION}")
    looks = Looks(
        _shaped(arrays, "appearance_mean", (APPEARANCE,)).astype(np.float64),
        _shaped(arrays, "appearance_covariance", (APPEARANCE, APPEARANCE)).astype(np.float64),
    )
    if np.linalg.eigvalsh(looks.covariance)[0] <= 0:
        raise ValueError("appearance_covariance is not positive")
    return TrainingStatistics(
        unit=bytes(arrays["unit"]).decode(),
        patches=int(arrays["patches"][0]),
        looks=looks,
        parts={part: _yardstick(arrays, part) for part in PARTS},
        features=_features(arrays) if "means" in arrays else None,
        nuclei=None if np.isnan(arrays["nuclei"][0]) else float(arrays["nuclei"][0]),
    )


def _features(arrays: Mapping[str, NDArray[Any]]) -> FeatureStatistics:
    classes, features = arrays["means"].shape
    count = len(arrays["deviations"])
    density = Density(
        _shaped(arrays, "means", (classes, features)).astype(np.float32),
        _shaped(arrays, "basis", (count, features)).astype(np.float16),
        _shaped(arrays, "deviations", (count,)).astype(np.float32),
        float(_shaped(arrays, "residual", (1,))[0]),
        _shaped(arrays, "prototypes", (len(arrays["prototypes"]), count)).astype(np.float16),
    )
    if not (bool((density.deviations > 0).all()) and density.residual > 0):
        raise ValueError("its deviations are not positive")
    return FeatureStatistics(
        density,
        _shaped(arrays, "tiles", QUANTILES.shape).astype(np.float32),
        float(_shaped(arrays, "nearest", (1,))[0]),
        _yardstick(arrays, "features"),
    )


def _shaped(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...]
) -> NDArray[np.floating[Any]]:
    values = arrays[name]
    if values.shape != shape or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite numbers of shape {shape}")
    return values


def _yardstick(arrays: Mapping[str, NDArray[Any]], name: str) -> Yardstick:
    values = _shaped(arrays, f"units_{name}", (len(arrays[f"units_{name}"]),))
    if bool((values < 0).any()):
        raise ValueError(f"units_{name} must not be negative")
    return Yardstick(values.astype(np.float64))


def _units(one: Yardstick) -> NDArray[np.float32]:
    """Few enough of them, evenly chosen of the sorted ones: their distribution stays."""
    ordered = np.sort(one.distances)
    if len(ordered) > _MOST_UNITS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, _MOST_UNITS).round().astype(np.int64)]
    return ordered.astype(np.float32)
