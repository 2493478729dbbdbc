"""Frozen value types for sizes, boxes and resolutions, each with its frame and unit.

Frames used throughout the project:

* *level 0*: pixels of the finest pyramid level. Names end in ``0`` (``x0``, ``y0``).
* *level n*: pixels of pyramid level ``n``; a :class:`Region` carries its level.
* *grid*: cells of the analysis grid (``column``, ``row``).
* *µm*: physical distance; names end in ``_um``.

The classic bug of this field is a level-0 number used at level n; that is why none of these types
converts silently into another.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

#: µm per px that a person may state. Finest: light microscopes resolve 0.2 µm (Abbe: 550 nm at an
#: aperture of 1.4), which a quarter of that samples twice as densely as Nyquist asks for. Coarsest:
#: a slide of 76 mm in 300 px, a thumbnail.
MPP_RANGE = (0.05, 250.0)
#: Px whose sides differ by less than this share count as square: files state rounded numbers, and
#: no label or patch moves by a px for it.
SQUARE_TOLERANCE = 0.02


#: Whose tiles: ``cover`` covers the whole slide; ``wsinfer`` are those of that program, which are
#: whole px of level 0 and have their centre on the slide.
GridKind = Literal["cover", "wsinfer"]


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in px of one level, or in cells of a grid; at least 1 × 1."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a size is at least 1 × 1, not {self.width} × {self.height}")

    @property
    def area(self) -> int:
        """Number of px (or cells)."""
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width:,} × {self.height:,}"


@dataclass(frozen=True, slots=True)
class Region:
    """A box of px of one pyramid level: top-left corner and size. May reach over the edge."""

    level: int
    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.level < 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"not a region: {self}")

    @property
    def right(self) -> int:
        """First column (level px) to the right of the region."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row (level px) below the region."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Number of px."""
        return self.width * self.height

    def cut(self, along: Size) -> "list[Region]":
        """Its parts in the boxes of this size that begin at the level's corner, row by row."""
        columns, rows = (
            [start, *range(start - start % side + side, end, side), end]
            for start, end, side in (
                (self.x, self.right, along.width),
                (self.y, self.bottom, along.height),
            )
        )
        return [
            Region(self.level, left, top, right - left, bottom - top)
            for top, bottom in pairwise(rows)
            for left, right in pairwise(columns)
        ]


@dataclass(frozen=True, slots=True)
class PerAxis:
    """Two positive numbers, one along x and one along y: factors, or lengths in px of one frame."""

    x: float
    y: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) and v > 0 for v in (self.x, self.y)):
            raise ValueError(f"must be positive and finite, not {self.x} × {self.y}")

    def __mul__(self, factor: float) -> "PerAxis":
        """Both numbers times a factor."""
        return PerAxis(self.x * factor, self.y * factor)

    def __truediv__(self, divisor: "float | PerAxis") -> "PerAxis":
        """Both numbers divided, by one number or each by its own."""
        by = PerAxis.of(divisor)
        return PerAxis(self.x / by.x, self.y / by.y)

    @classmethod
    def of(cls, value: "float | PerAxis") -> "PerAxis":
        """The same number along both axes, where one is given."""
        return value if isinstance(value, PerAxis) else cls(value, value)


#: How much longer a square px is than a px of a slide, along each axis, where that is square too.
NO_STRETCH = PerAxis(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Mpp:
    """Resolution: µm per px along x and y."""

    x: float
    y: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) and v > 0 for v in (self.x, self.y)):
            raise ValueError(f"µm per px must be positive and finite, not {self.x} × {self.y}")

    @property
    def mean(self) -> float:
        """The mean of both axes in µm per px."""
        return (self.x + self.y) / 2

    @property
    def is_square(self) -> bool:
        """Whether the px count as square, see :data:`SQUARE_TOLERANCE`."""
        # Slightly less, so that what is stated as 2 % counts as 2 % whatever its last digit.
        return max(self.x / self.y, self.y / self.x) - 1 < SQUARE_TOLERANCE * (1 - 1e-9)

    @property
    def side(self) -> float:
        """µm along a side of the square px these px are resampled to: what levels are chosen by.

        The mean of both axes where the px count as square, else the coarser axis: along it px are
        used as they are, and none is invented along the finer one.
        """
        return self.mean if self.is_square else max(self.x, self.y)

    @property
    def stretch(self) -> PerAxis:
        """Px along x and y that make one square px; 1 × 1 where they count as square."""
        return NO_STRETCH if self.is_square else PerAxis(self.side / self.x, self.side / self.y)

    def squared(self) -> "Mpp":
        """The resolution of the square px; these themselves where they count as square."""
        return self if self.is_square else Mpp(self.side, self.side)

    def scaled(self, factor: float) -> "Mpp":
        """The resolution of px that are ``factor`` times as long."""
        return Mpp(self.x * factor, self.y * factor)

    def __str__(self) -> str:
        same = math.isclose(self.x, self.y, rel_tol=1e-4)
        return f"{self.x:.4g} µm/px" if same else f"{self.x:.4g} × {self.y:.4g} µm/px"
