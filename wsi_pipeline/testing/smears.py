"""Blood smear fields drawn from optical densities, with the boxes of their cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.testing.slides import Pixels

#: Optical densities of R, G and B: haemoglobin as a camera sees it, azure (its direction is that of
#: Giemsa's), and the pale cytoplasm of white cells.
HAEMOGLOBIN = np.array([0.02, 0.16, 0.15])
AZURE = np.array([0.42, 0.26, 0.10])
CYTOPLASM = np.array([0.03, 0.10, 0.01])
GLASS = (205, 210, 206)

SmearKind = Literal["WBC", "RBC", "Platelets"]


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """One cell of a drawn field.

    Attributes:
        kind: What it is.
        x: Of its middle, px.
        y: Of its middle, px.
        diameter: Px.
        lobes: Of a white cell's nucleus: 1 is round, more lie in a bow.
        holes: Pale round holes in a white cell's nucleus.
    """

    kind: SmearKind
    x: float
    y: float
    diameter: float
    lobes: int = 3
    holes: int = 0

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """xmin, ymin, xmax, ymax in px, clipped to a field of this width and height."""
        half = self.diameter / 2
        return (
            max(0.0, self.x - half),
            max(0.0, self.y - half),
            min(float(size[0]), self.x + half),
            min(float(size[1]), self.y + half),
        )


def draw_smear(
    cells: Sequence[DrawnCell], size: tuple[int, int] = (480, 360), *, seed: int = 0
) -> Pixels:
    """A field as transmitted light shows it (Beer and Lambert), with the noise of a camera.

    Args:
        cells: What is in it; densities of cells that overlap add up.
        size: Width and height, px.
        seed: Of the noise.

    Returns:
        ``(height, width, 3)``.
    """
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    density = np.zeros((size[1], size[0], 3))
    for cell in cells:
        distance = np.hypot(x - cell.x, y - cell.y) / (cell.diameter / 2)
        inside = np.clip((1 - distance) * cell.diameter / 4 + 0.5, 0, 1)[..., None]
        if cell.kind == "RBC":
            pale = 1 - 0.45 * np.exp(-((distance / 0.4) ** 2))[..., None]
            density += inside * pale * HAEMOGLOBIN
        elif cell.kind == "Platelets":
            density += inside * (0.35 * AZURE + 0.5 * CYTOPLASM)
        else:
            nucleus = _nucleus(x, y, cell)[..., None]
            density += inside * CYTOPLASM + nucleus * AZURE
    noise = ndimage.gaussian_filter(
        np.random.default_rng(seed).normal(0, 4, density.shape), (0.6, 0.6, 0)
    )
    light = np.array(GLASS) * 10**-density + noise
    return np.asarray(light.clip(0, 255), np.uint8)


def scattered(
    size: tuple[int, int] = (480, 360), diameter: float = 60.0, *, seed: int = 0
) -> list[DrawnCell]:
    """A field's worth of cells: most red, a white one, platelets; some red ones overlap a little.

    Args:
        size: Width and height of the field, px.
        diameter: Of a red cell, px.
        seed: Of their places and sizes.
    """
    rng = np.random.default_rng(seed)
    white = DrawnCell("WBC", 0.45 * size[0], 0.5 * size[1], 1.6 * diameter)
    cells = [white]
    for row in np.arange(0.5 * diameter, size[1], 1.15 * diameter):
        for column in np.arange(0.5 * diameter, size[0], 1.15 * diameter):
            x, y = np.array([column, row]) + rng.uniform(-0.12, 0.12, 2) * diameter
            if np.hypot(x - white.x, y - white.y) > 1.5 * diameter and rng.random() < 0.75:
                cells.append(DrawnCell("RBC", x, y, diameter * rng.uniform(0.9, 1.1)))
    for _ in range(60):
        x, y = rng.uniform(0.2, 0.8, 2) * size
        apart = (np.hypot(x - c.x, y - c.y) - c.diameter / 2 for c in cells)
        if min(apart) > 0.3 * diameter and sum(c.kind == "Platelets" for c in cells) < 3:
            cells.append(DrawnCell("Platelets", x, y, 0.36 * diameter))
    return cells


def _nucleus(
    x: NDArray[np.float64], y: NDArray[np.float64], cell: DrawnCell
) -> NDArray[np.float64]:
    """How much of a nucleus is at each px, 0-1."""
    amount = np.zeros_like(x)
    if cell.lobes == 1:
        places, radius = [(cell.x, cell.y)], 0.36 * cell.diameter
    else:
        radius = 0.17 * cell.diameter
        angles = np.arange(cell.lobes) * (2 * radius / (0.24 * cell.diameter)) * 0.95
        places = [
            (cell.x + 0.24 * cell.diameter * np.cos(a), cell.y + 0.24 * cell.diameter * np.sin(a))
            for a in angles
        ]
    for place in places:
        distance = np.hypot(x - place[0], y - place[1])
        amount = np.maximum(amount, np.clip((radius - distance) / 2 + 0.5, 0, 1))
    for index in range(cell.holes):
        left = places[0][0] + (index - (cell.holes - 1) / 2) * 0.6 * radius
        distance = np.hypot(x - left, y - places[0][1])
        amount *= 1 - np.clip((0.16 * radius + 1 - distance) / 2 + 0.5, 0, 1)
    return amount
