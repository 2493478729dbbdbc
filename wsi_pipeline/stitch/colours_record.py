"""What a result says of the colours of its tissue, as optical densities."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingColoursRecord:
    """Optical densities (red, green, blue) of the patches the model was trained on."""

    patches: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColoursRecord:
    """Optical densities (red, green, blue) of the tissue, and how far from the training they are.

    Attributes:
        tiles: How many were measured.
        mean: Of their optical densities; None where there were too few.
        std: The same.
        training: Of the training patches; None where nothing is known.
        distance: Mahalanobis distance between both; None where either is missing.
    """

    tiles: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    training: TrainingColoursRecord | None
    distance: float | None
