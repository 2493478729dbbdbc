"""What goes wrong with real slides: folds, blur, dust, pen strokes and black scanner padding."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from shapely.geometry import Polygon

from wsi_pipeline.synth.anatomy import Anatomy
from wsi_pipeline.synth.inks import PEN_COLOURS
from wsi_pipeline.synth.noise import fractal_noise
from wsi_pipeline.synth.spec import SynthSpec
from wsi_pipeline.synth.stains import STAINS
from wsi_pipeline.synth.stencil import Box, Stencil, curve, stroke

Rgb = npt.NDArray[np.uint8]
Below = Callable[[int, int, int, int], Rgb]
"""Draws a window (x, y, width, height in level-0 px) without the artefact: uint8 (h, w, 3)."""

#: The colours of the strokes that `SynthSpec.pen` asks for.
_THREE_STROKES = ("blue", "green", "black")


class Artefact(Protocol):
    """Something planted on a slide."""

    def touches(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether it may change a window of level 0."""

    def apply(self, image: Rgb, x: int, y: int, below: Below) -> None:
        """Draw it into ``image``, uint8 (h, w, 3), whose top-left level-0 px is ``x``, ``y``."""

    def facts(self) -> Mapping[str, object]:
        """Kind and place in level-0 px, for reports."""

    @property
    def outline(self) -> Polygon | None:
        """Where it is at least half as strong as it gets, level-0 px; None of padding."""


class Stencilled:
    """An artefact whose place is a stencil."""

    kind = ""

    def __init__(self, stencil: Stencil) -> None:
        self.stencil = stencil

    def touches(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether it may change a window of level 0."""
        return self.stencil.box.touches(x, y, width, height)

    def apply(self, image: Rgb, x: int, y: int, below: Below) -> None:
        """Draw it into ``image``."""
        part = self.stencil.box.overlap(x, y, image.shape[1], image.shape[0])
        strength = self.stencil.window(part)
        if not strength.any():
            return
        area = image[part.top - y : part.bottom - y, part.left - x : part.right - x]
        area[...] = self.change(area, strength, part, below)

    def change(self, area: Rgb, strength: npt.NDArray[np.float32], part: Box, below: Below) -> Rgb:
        """The changed pixels: uint8, the shape of ``area``."""
        raise NotImplementedError

    @property
    def outline(self) -> Polygon | None:
        """Where it is at least half as strong as it gets, level-0 px."""
        return self.stencil.outline

    def facts(self) -> Mapping[str, object]:
        """Kind and place in level-0 px."""
        box = self.stencil.box
        return {
            "kind": self.kind,
            "x": box.left,
            "y": box.top,
            "width": box.right - box.left,
            "height": box.bottom - box.top,
        }


class Fold(Stencilled):
    """A band where the section lies double: the light passes the tissue twice."""

    kind = "fold"

    def __init__(self, stencil: Stencil, shift: tuple[int, int], glass: tuple[float, ...]) -> None:
        super().__init__(stencil)
        self.shift = shift
        self.glass = np.asarray(glass, np.float32)

    def change(self, area: Rgb, strength: npt.NDArray[np.float32], part: Box, below: Below) -> Rgb:
        """Multiply by what lies ``shift`` px aside."""
        width, height = part.right - part.left, part.bottom - part.top
        other = below(part.left + self.shift[0], part.top + self.shift[1], width, height)
        through = 1 + strength[..., None] * (other / self.glass - 1)
        return np.asarray((area * through).clip(0, 255).astype(np.uint8))


class Blur(Stencilled):
    """A patch that the scanner did not focus."""

    kind = "blur"

    def __init__(self, stencil: Stencil, radius: float) -> None:
        super().__init__(stencil)
        self.radius = radius

    def change(self, area: Rgb, strength: npt.NDArray[np.float32], part: Box, below: Below) -> Rgb:
        """Mix in a Gaussian blur of ``radius`` px standard deviation."""
        margin = int(4 * self.radius) + 2
        width, height = part.right - part.left, part.bottom - part.top
        wide = below(part.left - margin, part.top - margin, width + 2 * margin, height + 2 * margin)
        soft = self.soften(wide)[margin:-margin, margin:-margin]
        mixed = area + strength[..., None] * (soft.astype(np.float32) - area)
        return np.asarray(np.rint(mixed).astype(np.uint8))

    def soften(self, image: Rgb) -> Rgb:
        """What the lens makes of a picture: a Gaussian."""
        return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(self.radius)))

    def facts(self) -> Mapping[str, object]:
        """Kind, place and strength in level-0 px."""
        return {**super().facts(), "sigma": self.radius}


class Pen(Stencilled):
    """A stroke of a marker on the cover slip."""

    kind = "pen"

    def __init__(self, stencil: Stencil, colour: str, *, opaque: bool = False) -> None:
        super().__init__(stencil)
        self.colour = colour
        self.opaque = opaque

    def change(
        self,
        area: Rgb,
        strength: npt.NDArray[np.float32],
        part: Box,  # noqa: ARG002 - the base class's signature
        below: Below,  # noqa: ARG002 - the base class's signature
    ) -> Rgb:
        """Let less light through, by colour; opaque ink hides what lies under it."""
        ink = np.asarray(PEN_COLOURS[self.colour], np.float32)
        if self.opaque:
            painted = area + strength[..., None] * (200 * ink - area)
            return np.asarray(painted.astype(np.uint8))
        through = 1 - strength[..., None] * (1 - ink)
        return np.asarray((area * through).astype(np.uint8))

    def facts(self) -> Mapping[str, object]:
        """Kind, colour and place in level-0 px."""
        return {**super().facts(), "colour": self.colour}


class Debris(Stencilled):
    """A grain or a fibre of dust, dark and a little out of focus."""

    kind = "debris"

    def change(
        self,
        area: Rgb,
        strength: npt.NDArray[np.float32],
        part: Box,  # noqa: ARG002 - the base class's signature
        below: Below,  # noqa: ARG002 - the base class's signature
    ) -> Rgb:
        """Cover with brown-grey."""
        dirt = np.asarray((70.0, 62.0, 58.0), np.float32)
        mixed = area + strength[..., None] * (dirt - area)
        return np.asarray(np.rint(mixed).astype(np.uint8))


@dataclass(frozen=True, slots=True)
class Padding:
    """The black strips right of and below the scanned area."""

    scanned: Box
    whole: Box

    def touches(self, x: int, y: int, width: int, height: int) -> bool:
        """Whether a window reaches out of the scanned area."""
        return x + width > self.scanned.right or y + height > self.scanned.bottom

    def apply(self, image: Rgb, x: int, y: int, below: Below) -> None:  # noqa: ARG002 - the protocol's signature
        """Blacken."""
        image[:, max(0, self.scanned.right - x) :] = 0
        image[max(0, self.scanned.bottom - y) :] = 0

    @property
    def outline(self) -> Polygon | None:
        """None: padding is no artefact of the picture."""
        return None

    def facts(self) -> Mapping[str, object]:
        """Kind, and the scanned size in level-0 px."""
        return {
            "kind": "padding",
            "scanned_width": self.scanned.right,
            "scanned_height": self.scanned.bottom,
        }


def plant(spec: SynthSpec, anatomy: Anatomy) -> tuple[Artefact, ...]:
    """Place the artefacts a spec asks for, in the order they are drawn."""
    rng = np.random.default_rng([spec.seed, 4])
    unit = anatomy.unit
    found: list[Artefact] = []
    for _ in range(spec.folds):
        x, y = spot(rng, anatomy, 900 * unit)
        length, width = rng.uniform(2500, 7000) * unit, rng.uniform(180, 420) * unit
        path = curve(rng, (x, y), length, 0.25)
        turn = rng.uniform(0, 2 * np.pi)
        shift = (round(width * np.cos(turn)), round(width * np.sin(turn)))
        found.append(Fold(stroke(path, width, 8, 3.0), shift, STAINS[spec.stain].glass))
    for _ in range(spec.blur):
        x, y = spot(rng, anatomy, 300 * unit)
        radius = rng.uniform(700, 1800) * unit
        # Beyond half a chunk in depth the mixture is soft: focus fades over distance.
        found.append(Blur(stroke([(x, y), (x + radius, y)], 2 * radius, 16, 6.0),
                          float(rng.uniform(5, 11))))  # fmt: skip
    for _ in range(spec.debris):
        x, y = rng.uniform(0, spec.size.width), rng.uniform(0, spec.size.height)
        if rng.random() < 0.7:
            size = rng.uniform(10, 60)
            path, width = curve(rng, (x, y), size, 0.5), size
        else:
            path, width = curve(rng, (x, y), rng.uniform(200, 900), 0.5), rng.uniform(6, 16)
        found.append(Debris(stroke(path, width, 2, 1.5)))
    if spec.pen:
        for colour in _THREE_STROKES:
            x, y = spot(rng, anatomy, -600 * unit, 300 * unit)
            path = curve(rng, (x, y), rng.uniform(5000, 12_000) * unit, 0.6)
            stencil = stroke(path, rng.uniform(600, 1100) * unit, 16, 2.0)
            streaks = fractal_noise(rng, stencil.strength.shape, 40.0, octaves=3)
            inked = stencil.strength * np.clip(0.86 + 0.08 * streaks, 0.4, 1.0)
            found.append(Pen(replace(stencil, strength=inked.astype(np.float32)), colour))
    if spec.padding:
        scanned = Box(0, 0, spec.scanned.width, spec.scanned.height)
        found.append(Padding(scanned, Box(0, 0, spec.size.width, spec.size.height)))
    return tuple(found)


def spot(
    rng: np.random.Generator, anatomy: Anatomy, least: float, most: float = np.inf
) -> tuple[float, float]:
    """A random x, y in level-0 px whose depth in the tissue lies in a range, if there is one."""
    fits = np.flatnonzero((anatomy.depth >= least) & (anatomy.depth <= most))
    if not len(fits):
        fits = np.asarray([int(np.argmax(anatomy.depth))])
    row, column = divmod(int(rng.choice(fits)), anatomy.depth.shape[1])
    return (column + 0.5) * anatomy.cell, (row + 0.5) * anatomy.cell
