"""The features of one slide's tiles, and the HDF5 files that hold them.

The layout is the one that CLAM and TRIDENT write: ``features`` ``(n, d)`` and ``coords``
``(n, 2)``, the level-0 px of each tile's top-left corner. TRIDENT's first axis of length 1 is taken
away.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import TrainingError


@dataclass(frozen=True, slots=True)
class FeatureBag:
    """The tiles of one slide.

    Attributes:
        name: Of the slide.
        features: float32 ``(n, d)``.
        coords_0: Top-left corners, level-0 px, int64 ``(n, 2)``.

    Raises:
        ValueError: At construction, if there is no tile, or the two do not fit together.
    """

    name: str
    features: NDArray[np.float32]
    coords_0: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not self.features.size:
            raise ValueError(f"its features are {self.features.shape}: no row for each tile")
        if self.coords_0.shape != (len(self.features), 2):
            raise ValueError(
                f"{len(self.features):,} tiles, but coordinates of {self.coords_0.shape}"
            )


@dataclass(frozen=True, slots=True)
class BagShape:
    """What is known of a file before its features are read: tiles, and numbers for each."""

    tiles: int
    features: int


def bag_shape(path: Path) -> BagShape:
    """How large the features in a file are.

    Raises:
        TrainingError: it cannot be read, or is laid out otherwise.
    """
    try:
        with h5py.File(path) as file:
            *_, tiles, features = file["features"].shape
            coords = file["coords"].shape
    except (OSError, KeyError, ValueError) as error:
        raise _unusable(path, error) from error
    if coords[-2:] != (tiles, 2) or not tiles or not features:
        raise _unusable(path, f"{tiles:,} tiles, coordinates of {coords}")
    return BagShape(int(tiles), int(features))


def read_bag(path: Path) -> FeatureBag:
    """The features in a file; tiles that could not be read, whose numbers are NaN, are left out.

    Raises:
        TrainingError: it cannot be read, is laid out otherwise, or no tile could be read.
    """
    try:
        with h5py.File(path) as file:
            features = np.asarray(file["features"], np.float32)
            coords = np.asarray(file["coords"], np.int64)
        features = features.reshape(-1, features.shape[-1])
        coords = coords.reshape(-1, 2)
        known = np.isfinite(features).all(axis=1)
        return FeatureBag(path.stem, features[known], coords[known])
    except (OSError, KeyError, ValueError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: object) -> TrainingError:
    return TrainingError(
        path,
        f"holds no features of tiles ({error}); it needs `features` (n, d) and `coords` (n, 2), as "
        "wsi features, CLAM and TRIDENT write them",
    )
