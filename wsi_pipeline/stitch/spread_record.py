"""What a result says of answers for several orientations of each tile."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRecord:
    """How far they are apart: standard deviations of a probability, 0-0.5.

    Attributes:
        orientations: In which each tile was looked at; its probability is their mean.
        mean: Of the tiles' spreads; None of maps, and where no tile was classified.
        quantile_95: Below which those of 95 % of the tiles are; the same.
    """

    orientations: int
    mean: float | None = None
    quantile_95: float | None = None
