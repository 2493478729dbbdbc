"""Where an artefact lies, and how strong it is there, coarsely; strokes that are drawn so."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from shapely.geometry import LineString, Polygon

from wsi_pipeline.synth.noise import upsample


@dataclass(frozen=True, slots=True)
class Box:
    """A box in level-0 px: left, top, right, bottom (exclusive)."""

    left: int
    top: int
    right: int
    bottom: int

    def touches(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether a window of level 0 overlaps the box."""
        return (
            self.left < x + width and self.right > x and self.top < y + height and self.bottom > y
        )

    def overlap(self, x: int, y: int, width: int, height: int) -> "Box":
        """The part of a window of level 0 that lies in the box."""
        return Box(
            max(self.left, x),
            max(self.top, y),
            min(self.right, x + width),
            min(self.bottom, y + height),
        )


@dataclass(frozen=True, eq=False)
class Stencil:
    """How strong an artefact is, coarsely: 0 none to 1 full, ``cell`` level-0 px per sample.

    ``outline`` is where it is at least half as strong as it gets, in level-0 px.
    """

    box: Box
    cell: int
    strength: npt.NDArray[np.float32]
    outline: Polygon

    def window(self, part: Box) -> npt.NDArray[np.float32]:
        """Strength at every level-0 px of a part of the box: float32 (h, w), 0-1."""
        scale = 1 / self.cell
        area = (
            (part.left - self.box.left) * scale,
            (part.top - self.box.top) * scale,
            (part.right - self.box.left) * scale,
            (part.bottom - self.box.top) * scale,
        )
        size = (part.right - part.left, part.bottom - part.top)
        return np.clip(upsample(self.strength, size, area), 0, 1)


def curve(
    rng: np.random.Generator, middle: tuple[float, float], length: float, bend: float
) -> list[tuple[float, float]]:
    """A gently curved line through a point: x, y in level-0 px."""
    turn, steps = rng.uniform(0, 2 * np.pi), 24
    angles = turn + np.cumsum(rng.normal(0, bend / steps**0.5, steps))
    x = np.cumsum(np.cos(angles)) * length / steps
    y = np.cumsum(np.sin(angles)) * length / steps
    x, y = x - x[steps // 2] + middle[0], y - y[steps // 2] + middle[1]
    return list(zip(x.tolist(), y.tolist(), strict=True))


def stroke(path: list[tuple[float, float]], width: float, cell: int, soft: float) -> Stencil:
    """A thick line with round ends; ``soft`` is its edge's blur in samples."""
    margin = int(width / 2 + cell * (3 * soft + 3))
    xs, ys = [x for x, _ in path], [y for _, y in path]
    left, top = (int(min(xs)) - margin) // 16 * 16, (int(min(ys)) - margin) // 16 * 16
    columns = int((max(xs) + margin - left) / cell) + 1
    rows = int((max(ys) + margin - top) / cell) + 1
    image = Image.new("L", (columns, rows))
    pen = ImageDraw.Draw(image)
    points = [((x - left) / cell, (y - top) / cell) for x, y in path]
    thick = max(1, round(width / cell))
    pen.line(points, fill=255, width=thick, joint="curve")
    for x, y in (points[0], points[-1]):
        radius = thick / 2
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    image = image.filter(ImageFilter.GaussianBlur(soft))
    strength = (np.asarray(image) / 255).astype(np.float32)
    return Stencil(
        Box(left, top, left + columns * cell, top + rows * cell),
        cell,
        strength,
        LineString(path).buffer(width / 2),
    )
