"""The features of one slide, wherever they are kept: what is read, and what reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import TrainingError


@dataclass(frozen=True, slots=True)
class FeatureBag:
    """The tiles of one slide that could be read.

    Attributes:
        features: float32 ``(n, d)``.
        coords_0: Top-left corners, level-0 px, int64 ``(n, 2)``.

    Raises:
        ValueError: At construction, if there is no tile, or the two do not fit together.
    """

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
class EncoderMark:
    """What made features.

    Attributes:
        name: Of the encoder; empty: the file does not say.
        sha256: Of its package (hex); empty likewise.
    """

    name: str
    sha256: str

    def __str__(self) -> str:
        told = self.name or "an encoder without a name"
        return f"{told} ({self.sha256[:12]})" if self.sha256 else told

    def differs(self, other: "EncoderMark") -> bool:
        """Whether both say what they are of, and say different things."""
        pairs = ((self.name, other.name), (self.sha256, other.sha256))
        return any(one and two and one != two for one, two in pairs)


@dataclass(frozen=True, slots=True)
class TileMark:
    """How the tiles were cut that features are of.

    Attributes:
        patch_px: Side in px, as the encoder is given it; None: the file does not say.
        mpp: µm per px; None likewise. Where a file states the power of an objective, the usual
            spacing of that.
    """

    patch_px: int | None = None
    mpp: float | None = None


class BagFile(Protocol):
    """A file or store with the features of one slide; opened, but not yet read."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def features(self) -> int:
        """Numbers of each tile."""
        ...

    @property
    def encoder(self) -> EncoderMark:
        """What made them, as far as it says."""
        ...

    @property
    def tiles(self) -> TileMark:
        """How the tiles were cut, as far as it says."""
        ...

    def sha256(self) -> str:
        """SHA-256 (hex) that differs where the features do.

        Raises:
            TrainingError: it cannot be read, or is damaged.
        """
        ...

    def read(self) -> FeatureBag:
        """The features; tiles that could not be read, whose numbers are NaN, are left out.

        Memory: all of them in float32, twice while they are sorted out.

        Raises:
            TrainingError: it cannot be read, or no tile could be.
        """
        ...


def readable(path: Path, features: NDArray[np.float32], coords_0: NDArray[np.int64]) -> FeatureBag:
    """A bag of the tiles that could be read.

    Args:
        path: Where they are from.
        features: float32 ``(n, d)``; NaN = unreadable.
        coords_0: Top-left corners, level-0 px, int64 ``(n, 2)``.

    Raises:
        TrainingError: there is none, or the two do not fit together.
    """
    try:
        known = np.isfinite(features).all(axis=1)
        return FeatureBag(features[known], coords_0[known])
    except (ValueError, IndexError) as error:
        raise unusable(path, error) from error


def unusable(path: Path, error: object) -> TrainingError:
    """The error of a file without features."""
    return TrainingError(
        path,
        f"holds no features of tiles ({error}); it needs `features` (n, d) and `coords` (n, 2), as "
        "wsi features, CLAM and TRIDENT write them",
    )
