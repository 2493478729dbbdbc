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

#: µm per level-0 px that some scanner makes: from below 0.1 (100× oil) to 8 (1.25× overview).
PLAUSIBLE_MPP = (0.05, 8.0)


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
        """The mean of both axes in µm per px: what levels are chosen by."""
        return (self.x + self.y) / 2

    def scaled(self, factor: float) -> "Mpp":
        """The resolution of px that are ``factor`` times as long."""
        return Mpp(self.x * factor, self.y * factor)

    def __str__(self) -> str:
        same = math.isclose(self.x, self.y, rel_tol=1e-4)
        return f"{self.x:.4g} µm/px" if same else f"{self.x:.4g} × {self.y:.4g} µm/px"
