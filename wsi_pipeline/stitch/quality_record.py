"""What a result says of the quality of its tissue."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecord:
    """What quality control found, and what became of it.

    Attributes:
        method: Which detectors, by name and number.
        mode: ``flag`` or ``reject``.
        limit: Share of the tissue above which nothing is rejected.
        tiles: Tiles of tissue that were looked at.
        marked: Those that have any reason.
        reasons: Tiles that have each reason, by its key; a tile may have several.
        rejected: Tiles left out of the analysis.
        withheld: Whether tiles would have been rejected but for the limit.
        focus: Median of log2 of the energy of detail at 1 over that at 4 µm/px; sharp slides have
            -2 and more; None where it could not be measured.
        notes: What was not looked at, and why, in words.
        thresholds: Every bound the marks depend on, by detector.
    """

    method: str
    mode: str
    limit: float
    tiles: int
    marked: int
    reasons: dict[str, int]
    rejected: int
    withheld: bool
    focus: float | None
    notes: tuple[str, ...]
    thresholds: dict[str, Any]

    @property
    def share(self) -> float:
        """Share of the tissue's tiles that are marked, 0-1."""
        return self.marked / self.tiles if self.tiles else 0.0
