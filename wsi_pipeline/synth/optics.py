"""Artefacts of light and scanning: defocus, air bubbles, cover-slip edges and stitching gaps."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal
from shapely.geometry import Polygon

from wsi_pipeline.synth.artefacts import Below, Blur, Rgb, Stencilled
from wsi_pipeline.synth.stencil import Box, Stencil

Plane = npt.NDArray[np.float32]
#: Light that passes at the middle of a bubble's rim, or of a cover slip's edge.
_RIM_LIGHT = 0.38
#: How much brighter the line inside a rim is.
_HALO = 0.12


class Defocus(Blur):
    """An area out of the scanned plane: each point of it is a disc (geometrical optics).

    ``radius`` is the disc's standard deviation along an axis, half its radius, so that it compares
    with a Gaussian's.
    """

    kind = "defocus"

    def soften(self, image: Rgb) -> Rgb:
        """Each point becomes a disc."""
        disc = _disc(2 * self.radius)[..., None]
        wide = signal.oaconvolve(image.astype(np.float32), disc, mode="same", axes=(0, 1))
        return np.asarray(np.rint(wide).clip(0, 255).astype(np.uint8))


class Bubble(Blur):
    """Air under the cover slip: a dark rim, a bright line inside it, and a blurred inside.

    Args:
        stencil: The inside, rim included.
        rim: The rim's darkness, 0-1, as the stencil lies.
        radius: Of the blur inside, px standard deviation.
    """

    kind = "bubble"

    def __init__(self, stencil: Stencil, rim: Stencil, radius: float) -> None:
        super().__init__(stencil, radius)
        self.rim = rim

    def change(self, area: Rgb, strength: Plane, part: Box, below: Below) -> Rgb:
        """Blur the inside, then darken the rim."""
        inside = super().change(area, strength, part, below)
        return _darkened(inside, self.rim.window(part))


class Edge(Stencilled):
    """The edge of a cover slip across the section: a dark line without colour."""

    kind = "coverslip"

    def change(
        self,
        area: Rgb,
        strength: Plane,
        part: Box,  # noqa: ARG002 - the base class's signature
        below: Below,  # noqa: ARG002 - the base class's signature
    ) -> Rgb:
        """Let less light through, all colours alike."""
        return _darkened(area, strength)


class Gap:
    """A strip along an axis that the scanner has no picture of, black or white."""

    def __init__(self, box: Box, *, white: bool) -> None:
        self.box = box
        self.value = 255 if white else 0

    def touches(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether it may change a window of level 0."""
        return self.box.touches(x, y, width, height)

    def apply(self, image: Rgb, x: int, y: int, below: Below) -> None:  # noqa: ARG002 - the protocol's signature
        """Fill."""
        part = self.box.overlap(x, y, image.shape[1], image.shape[0])
        image[part.top - y : part.bottom - y, part.left - x : part.right - x] = self.value

    @property
    def outline(self) -> Polygon:
        """The strip, level-0 px."""
        box = self.box
        return Polygon(
            [
                (box.left, box.top),
                (box.right, box.top),
                (box.right, box.bottom),
                (box.left, box.bottom),
            ]
        )

    def facts(self) -> Mapping[str, object]:
        """Kind, colour and place in level-0 px."""
        return {
            "kind": "gap",
            "x": self.box.left,
            "y": self.box.top,
            "width": self.box.right - self.box.left,
            "height": self.box.bottom - self.box.top,
            "colour": "white" if self.value else "black",
        }


def make_bubble(outline: Polygon, rim_px: float, radius: float, cell: int = 16) -> Bubble:
    """A bubble of a shape in level-0 px, its rim ``rim_px`` wide."""
    left, top, right, bottom = outline.bounds
    margin = int(2 * rim_px) + 4 * cell
    box = Box(
        int(left) - margin,
        int(top) - margin,
        int(right) + margin + cell,
        int(bottom) + margin + cell,
    )
    shape = (-(-(box.bottom - box.top) // cell), -(-(box.right - box.left) // cell))
    rows, columns = np.indices(shape, np.float32)
    points = np.asarray(outline.exterior.coords, np.float32)
    middle = points[:-1].mean(axis=0)
    inside = _inside(points, columns * cell + box.left, rows * cell + box.top, middle)
    depth = cell * np.where(
        inside, ndimage.distance_transform_edt(inside), -ndimage.distance_transform_edt(~inside)
    )
    edge = depth - rim_px / 2
    rim = np.exp(-((edge / (rim_px / 2)) ** 2))
    rim -= _HALO / (1 - _RIM_LIGHT) * np.exp(-(((edge - 1.5 * rim_px) / rim_px) ** 2))
    whole = Stencil(box, cell, np.clip(0.5 + depth / (2 * cell), 0, 1).astype(np.float32), outline)
    return Bubble(whole, Stencil(box, cell, rim.astype(np.float32), outline), radius)


def _inside(points: Plane, x: Plane, y: Plane, middle: Plane) -> npt.NDArray[np.bool_]:
    """Which places lie in an outline that every ray from its middle meets once."""
    angles = np.arctan2(points[:-1, 1] - middle[1], points[:-1, 0] - middle[0])
    reach = np.hypot(points[:-1, 1] - middle[1], points[:-1, 0] - middle[0])
    order = np.argsort(angles)
    here = np.arctan2(y - middle[1], x - middle[0])
    border = np.interp(here, angles[order], reach[order], period=2 * np.pi)
    within: npt.NDArray[np.bool_] = np.hypot(y - middle[1], x - middle[0]) <= border
    return within


def _darkened(area: Rgb, strength: Plane) -> Rgb:
    """Less light of all colours; a negative strength is more."""
    light = 1 - strength[..., None] * (1 - _RIM_LIGHT)
    return np.asarray((area * light).clip(0, 255).astype(np.uint8))


def _disc(radius: float) -> Plane:
    """A disc of sum 1 with soft edges, ``radius`` px."""
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1).astype(np.float32)
    return np.asarray(disc / disc.sum(), np.float32)
