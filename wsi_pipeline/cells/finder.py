"""What finds the cells of a field, and what it says of each."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

#: White blood cell, red blood cell, platelets (one, or a clump), as the data set BCCD calls them.
Kind = Literal["WBC", "RBC", "Platelets"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Box:
    """A box in px of the field from its top-left corner; the maxima are not included."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def __post_init__(self) -> None:
        if not (self.xmin < self.xmax and self.ymin < self.ymax):
            raise ValueError(f"a box without area: {asdict(self)}")

    @property
    def width(self) -> float:
        """In px."""
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        """In px."""
        return self.ymax - self.ymin


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a field.

    Attributes:
        kind: What it is.
        box: Where, clipped to the field.
        cut: Whether the field's border cuts it.
    """

    kind: Kind
    box: Box
    cut: bool


@dataclass(frozen=True, slots=True)
class FoundCells:
    """All cells of a field.

    Attributes:
        cells: By kind in the order of :data:`KINDS`, then from top to bottom, left to right.
        red_cell_px: Diameter of the field's usual red cell, px; what lengths are measured by.
        warnings: What a person should know, in words.
    """

    cells: tuple[Cell, ...]
    red_cell_px: float
    warnings: tuple[str, ...] = ()


class Finder(Protocol):
    """Finds cells. Has no state that changes: the same px give the same cells."""

    @property
    def description(self) -> dict[str, Any]:
        """Its name and settings as plain values: part of what identifies a result."""
        ...

    def find(self, pixels: NDArray[np.uint8]) -> FoundCells:
        """The cells of a field.

        Args:
            pixels: ``(height, width, 3)`` RGB.
        """
        ...


def ordered(cells: list[Cell]) -> tuple[Cell, ...]:
    """Cells in the order of :class:`FoundCells`."""
    return tuple(sorted(cells, key=lambda c: (KINDS.index(c.kind), c.box.ymin, c.box.xmin)))
