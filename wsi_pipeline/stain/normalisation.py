"""Showing a slide as if it were stained like another: a function from px to px.

Computed px by px with float32 arithmetic in a fixed order, from tables of the 256 values: the same
px come out whatever patch they are in, whichever thread computes them and whether a model is
trained or used.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.stain.appearance import (
    Appearance,
    LabStatistics,
    Method,
    StainFit,
    StainMatrix,
    check_suits,
)
from wsi_pipeline.stain.density import DENSITY
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.lab import LabShift, mixed

#: Times a stain or a spread may be made stronger or weaker. Beyond it, noise would be shown as
#: tissue, or tissue as glass.
_MOST_GAIN = 5.0
_TABLE = DENSITY.astype(np.float32)
_LN_10 = float(np.log(10))

Planes = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class StainTarget:
    """How all slides shall look to a model: what ``preprocessing.stain`` of a package says.

    Attributes:
        method: How slides are made alike.
        target: What they are made like.
    """

    #: Unknown names in a file are an error, where pydantic reads one.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - a constant of the class

    method: Method
    target: Appearance

    def __post_init__(self) -> None:
        check_suits(self.method, self.target)

    def fitted(self, pixels: NDArray[np.uint8]) -> "StainNormalisation":
        """The normalisation of the slide or image that px are of.

        Args:
            pixels: ``(n, 3)`` RGB, see :func:`~wsi_pipeline.stain.fit.fit_stain`.
        """
        return self.of(fit_stain(self.method, pixels))

    def of(self, fit: StainFit) -> "StainNormalisation":
        """The normalisation of what a fit found.

        Args:
            fit: By the same method.
        """
        if fit.appearance is not None:
            gains = _gains(fit.appearance, self.target)
            worst = float(np.maximum(gains, 1 / gains).max())
            if worst > _MOST_GAIN:
                reason = (
                    f"its stain is {worst:.1f} times as strong or as weak as the target's, "
                    f"{_MOST_GAIN:g} times are allowed"
                )
                fit = StainFit(fit.method, None, reason)
        return StainNormalisation(fit, self.target)


@dataclass(frozen=True, slots=True)
class StainNormalisation:
    """Of one slide or image; small, and travels with the work.

    Attributes:
        fit: How the slide is stained. Where that cannot be told, px stay as they are.
        target: What it is made like.
    """

    fit: StainFit
    target: Appearance

    @property
    def warning(self) -> str:
        """What a person has to know; empty where the slide was normalised."""
        if not self.fit.reason:
            return ""
        return (
            f"its stain was not normalised ({self.fit.method}): {self.fit.reason}; the model sees "
            "other colours than it was made for"
        )

    def recolouring(self) -> "Recolouring":
        """The function; making it costs microseconds."""
        source, target = self.fit.appearance, self.target
        if isinstance(source, StainMatrix) and isinstance(target, StainMatrix):
            return Recolouring(_Restaining(source, _gains(source, target), target))
        if isinstance(source, LabStatistics) and isinstance(target, LabStatistics):
            scale = _gains(source, target)
            return Recolouring(LabShift(scale, target.mean - scale * np.array(source.mean)))
        return Recolouring(None)


class Recolouring:
    """Makes px look as a normalisation says. Safe to share between threads.

    Args:
        planes: Recolours ``(3, n)``; None leaves px as they are.
    """

    def __init__(self, planes: Planes | None) -> None:
        self._planes = planes

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Recoloured px.

        Args:
            pixels: ``(…, 3)`` uint8 RGB.

        Returns:
            The same shape; the same array where nothing has to be done.
        """
        if self._planes is None or pixels.size == 0:
            return pixels
        planes = np.ascontiguousarray(pixels.reshape(-1, 3).T)
        found = self._planes(planes)
        return np.ascontiguousarray(found.T).reshape(pixels.shape)


def separated(source: StainMatrix) -> tuple[Recolouring, Recolouring]:
    """What px look like with haematoxylin alone, and with eosin alone."""
    first, second = (
        Recolouring(_Restaining(source, np.eye(2)[index], source)) for index in range(2)
    )
    return first, second


class _Restaining:
    """The amounts of two stains, each times a gain, in the target's colours.

    Density, amounts, gains and density again are one matrix: ``D' = D · S⁺ · diag(r) · T``.
    """

    def __init__(
        self, source: StainMatrix, gains: NDArray[np.float64], target: StainMatrix
    ) -> None:
        matrix = np.linalg.pinv(source.directions) @ np.diag(gains) @ target.directions
        # Transposed for planes; natural logarithms, whose inverse is faster.
        self._matrix = (-_LN_10 * matrix.T).astype(np.float32)

    def __call__(self, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        light = mixed(self._matrix, _TABLE[planes])
        np.exp(light, out=light)
        light *= 256
        light -= 0.5  # 1 is taken away again, and half a value added for rounding
        np.clip(light, 0, 255, out=light)
        return light.astype(np.uint8)


def _gains(source: Appearance, target: Appearance) -> NDArray[np.float64]:
    """What amounts or spreads are multiplied by."""

    def scale(one: Appearance) -> NDArray[np.float64]:
        return np.array(one.std if isinstance(one, LabStatistics) else one.concentrations)

    gains: NDArray[np.float64] = scale(target) / scale(source)
    return gains
