"""How unusual a slide's or an image's distance is, among those of held-out slides or images.

The tiles of a slide resemble each other, so a slide counts as one: its p-value is among slides.
With many of them it is conformal: the share of held-out distances that are no smaller, the new one
counted with them (Vovk, Gammerman and Shafer 2005), which holds whatever the distribution. With
few that share is never small. Then the distances are taken for normally distributed after the cube
root of their squares (Wilson and Hilferty 1931), and the p-value is that of Student's t for a new
observation, which is wide where there are few. Below three there is none.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

#: Held-out slides, or images, from which there is a p-value.
LEAST_UNITS = 3
_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Distances of held-out slides or images.

    Attributes:
        distances: float64 ``(k,)``, each ≥ 0.
    """

    distances: NDArray[np.float64]

    @property
    def units(self) -> int:
        """How many there are."""
        return len(self.distances)

    def p_value(self, distance: float, level: float) -> float | None:
        """Chance that a slide like the held-out ones is as far or farther.

        Args:
            distance: Of the new one.
            level: The p-value that is to be reached at least: conformal where there are enough.

        Returns:
            None where there are fewer than three.
        """
        if self.units < LEAST_UNITS or math.isnan(distance):
            return None
        if self._conformal(level):
            farther = int(np.count_nonzero(self.distances >= distance))
            return (1 + farther) / (1 + self.units)
        mean, spread = self._normal()
        return float(stdtr(self.units - 1, -(_rooted(distance) - mean) / spread))

    def limit(self, level: float) -> float | None:
        """The distance from which on the p-value is at most the level; None as for it."""
        if self.units < LEAST_UNITS:
            return None
        if self._conformal(level):
            # As many as this may be no smaller, so that with the new one the share is the level.
            allowed = math.floor(level * (1 + self.units) + _SPREAD) - 1
            return float(np.nextafter(np.sort(self.distances)[-1 - allowed], np.inf))
        mean, spread = self._normal()
        return math.pow(max(mean + spread * float(stdtrit(self.units - 1, 1 - level)), 0.0), 1.5)

    def _conformal(self, level: float) -> bool:
        return level * (1 + self.units) >= 1 - _SPREAD

    def _normal(self) -> tuple[float, float]:
        """Mean, and deviation of a new observation from it, of rooted distances."""
        rooted = np.cbrt(np.square(self.distances))
        spread = float(rooted.std(ddof=1)) * math.sqrt(1 + 1 / self.units)
        return float(rooted.mean()), max(spread, _SPREAD)


def _rooted(distance: float) -> float:
    return float(np.cbrt(distance**2))
