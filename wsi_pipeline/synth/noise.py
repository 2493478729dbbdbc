"""Seeded smooth noise that wraps round its edges, and smooth resampling of float planes."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane: TypeAlias = npt.NDArray[np.float32]
"""A float32 plane of shape (height, width)."""


def upsample(
    plane: Plane, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Plane:
    """Enlarge (part of) a plane with cubic interpolation.

    Args:
        plane: float32 (h, w).
        size: Width and height of the result in px.
        box: Left, top, right, bottom in px of ``plane``, fractions allowed; all of it by default.
            Samples outside the box but inside the plane take part, so neighbouring boxes agree.

    Returns:
        float32 (size[1], size[0]).
    """
    image = Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC, box=box)
    return np.asarray(image, dtype=np.float32)


def enlarge(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Enlarge a plane that wraps at its edges to a shape (height, width), where it wraps too."""
    rows, columns = plane.shape
    padded = np.pad(plane, 3, mode="wrap")
    return upsample(padded, (shape[1], shape[0]), box=(3, 3, 3 + columns, 3 + rows))


def value_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float | tuple[float, float]
) -> Plane:
    """Smooth noise of zero mean and unit variance that wraps at its edges.

    Args:
        rng: Source of randomness; consumed.
        shape: Height and width in px.
        cell: Feature size in px, or one each along y and x.

    Returns:
        float32 of ``shape``.
    """
    cell_y, cell_x = cell if isinstance(cell, tuple) else (cell, cell)
    rows = max(2, round(shape[0] / cell_y))
    columns = max(2, round(shape[1] / cell_x))
    grid = rng.standard_normal((rows, columns)).astype(np.float32)
    if (rows, columns) != shape:
        grid = enlarge(grid, shape)
    deviation = float(grid.std()) or 1.0
    return (grid - np.float32(grid.mean())) / np.float32(deviation)


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float,
    *,
    octaves: int = 4,
    persistence: float = 0.5,
) -> Plane:
    """Sum of :func:`value_noise` octaves, each half the feature size of the one before.

    Returns:
        float32 of ``shape``, zero mean, unit variance, wrapping at its edges.
    """
    total = np.zeros(shape, np.float32)
    weight = 1.0
    for octave in range(octaves):
        total += np.float32(weight) * value_noise(rng, shape, max(1.0, cell / 2**octave))
        weight *= persistence
    return total / np.float32(total.std() or 1.0)
