"""The differential: the share of each kind of white cell among all, with its interval."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from wsi_pipeline.cells.fields import FieldRecord

#: Normal quantile of a two-sided 95 % interval.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """Of one kind of white cell.

    Attributes:
        field: Name of the field; empty for all fields together.
        label: The kind.
        count: White cells of that kind.
        total: White cells of every kind.
        low: Lower end of the share's 95 % interval, 0-1; 0 where there are no cells.
        high: Upper end; 1 where there are none.
    """

    field: str
    label: str
    count: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """0-1; None where there are no cells."""
        return self.count / self.total if self.total else None


def differential(fields: Sequence[FieldRecord], labels: Sequence[str]) -> list[Share]:
    """Shares over all fields first, then of each field.

    Cells that the border cuts are counted, as on a slide: each has one class, whatever is seen of
    it.

    Args:
        fields: With classified white cells.
        labels: All classes, in the order they are to have.
    """
    rows = _shares("", [label for one in fields for label in _labels(one)], labels)
    for one in fields:
        rows += _shares(one.name, _labels(one), labels)
    return rows


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927, JASA 22:209); 0 to 1 of no cells at all.

    Args:
        count: Of cells of the kind.
        total: Of all cells.
    """
    if not total:
        return 0.0, 1.0
    share, square = count / total, _Z**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z / (1 + square / total)
    half *= math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    # Exactly 0 or 1 where the formula says so; rounding must not say less than nothing.
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return low, 1.0 if count == total else min(1.0, middle + half)


def _labels(one: FieldRecord) -> list[str]:
    return [cell.label for cell in one.cells if cell.label]


def _shares(name: str, found: Sequence[str], labels: Sequence[str]) -> list[Share]:
    counts = Counter(found)
    return [
        Share(name, label, counts[label], len(found), *wilson(counts[label], len(found)))
        for label in labels
    ]
