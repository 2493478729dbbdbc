"""How tissue is stained, as a few numbers: of a slide, of an image, or of the one to be like.

All are frozen, rounded to six digits (more would be noise, and differ between processors), and
become plain numbers in ``model.yaml`` and in results.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["macenko", "reinhard", "vahadane"]
METHODS: tuple[Method, ...] = ("macenko", "reinhard", "vahadane")
Triple = tuple[float, float, float]
#: Cosine beyond which two directions count as one: 2 degrees.
_PARALLEL = math.cos(math.radians(2))


@dataclass(frozen=True, slots=True)
class StainMatrix:
    """Two stains and how much of them is usual in dense px; for Macenko's and Vahadane's methods.

    Attributes:
        haematoxylin: Direction in the optical densities of R, G and B, a unit vector. Of another
            pair of stains: of the one that holds back more red.
        eosin: Of the other one.
        concentrations: Amount of each that 99 % of the stained px stay below, in optical density.
    """

    #: Unknown names in a file are an error, where pydantic reads one.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - a constant of the class

    haematoxylin: Triple
    eosin: Triple
    concentrations: tuple[float, float]

    def __post_init__(self) -> None:
        directions = self.directions
        if not np.isfinite(directions).all() or not np.allclose(
            np.linalg.norm(directions, axis=1), 1, atol=1e-3
        ):
            raise ValueError("the directions of stains are unit vectors")
        if abs(float(directions[0] @ directions[1])) > _PARALLEL:
            raise ValueError("the directions of the two stains are the same")
        if not all(math.isfinite(one) and one > 0 for one in self.concentrations):
            raise ValueError("concentrations are above 0")

    @property
    def directions(self) -> NDArray[np.float64]:
        """Haematoxylin and eosin, ``(2, 3)``."""
        return np.array([self.haematoxylin, self.eosin])

    @property
    def degrees(self) -> float:
        """Angle between the two directions."""
        cosine = float(self.directions[0] @ self.directions[1])
        return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


@dataclass(frozen=True, slots=True)
class LabStatistics:
    """Mean and spread of colours in CIE L*a*b* (D65); for Reinhard's method.

    Attributes:
        mean: Of L*, a* and b*.
        std: Standard deviations of the same.
    """

    #: As of :class:`StainMatrix`.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - a constant of the class

    mean: Triple
    std: Triple

    def __post_init__(self) -> None:
        if not all(math.isfinite(one) for one in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise ValueError("standard deviations are above 0")


Appearance = StainMatrix | LabStatistics


@dataclass(frozen=True, slots=True)
class StainFit:
    """What was found of one slide or image.

    Attributes:
        method: How.
        appearance: How it is stained; None where that cannot be told.
        reason: Why it cannot, in words; empty where it can.
    """

    method: Method
    appearance: Appearance | None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.appearance is None) == (not self.reason):
            raise ValueError("a fit has an appearance, or a reason why not")
        if self.appearance is not None:
            check_suits(self.method, self.appearance)


def check_suits(method: Method, appearance: Appearance) -> None:
    """Refuse numbers of another method.

    Raises:
        ValueError: they are.
    """
    if isinstance(appearance, LabStatistics) != (method == "reinhard"):
        raise ValueError(
            f"{method} works with {'mean and std' if method == 'reinhard' else 'stain directions'}"
        )


def stain_matrix(directions: NDArray[np.float64], concentrations: Iterable[float]) -> StainMatrix:
    """Directions ``(2, 3)`` of any length and order, as a matrix.

    The stain that holds back more red comes first. Concentrations are in the order of the
    directions.
    """
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    amounts = np.array(list(concentrations))
    order = np.argsort(-unit[:, 0], kind="stable")
    first, second = (triple(row) for row in unit[order])
    dense = amounts[order]
    return StainMatrix(first, second, (round(float(dense[0]), 6), round(float(dense[1]), 6)))


def median_appearance(appearances: Sequence[Appearance]) -> Appearance | None:
    """What is usual: the median of each number; directions are unit vectors again.

    Args:
        appearances: All of one method.

    Returns:
        None where there are none.
    """
    if not appearances:
        return None
    if isinstance(appearances[0], LabStatistics):
        statistics = [one for one in appearances if isinstance(one, LabStatistics)]
        return LabStatistics(
            triple(np.median([one.mean for one in statistics], axis=0)),
            triple(np.median([one.std for one in statistics], axis=0)),
        )
    matrices = [one for one in appearances if isinstance(one, StainMatrix)]
    return stain_matrix(
        np.median([one.directions for one in matrices], axis=0),
        np.median([one.concentrations for one in matrices], axis=0),
    )


def triple(values: Iterable[float]) -> Triple:
    """Three numbers, rounded."""
    first, second, third = (round(float(value), 6) for value in values)
    return first, second, third
