"""Plants the artefacts that ``--artefacts`` asks for where the tissue is."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from shapely.geometry import Polygon

from wsi_pipeline.geometry import Size
from wsi_pipeline.synth.anatomy import Anatomy
from wsi_pipeline.synth.artefacts import Artefact, Blur, Fold, Pen, spot
from wsi_pipeline.synth.noise import fractal_noise
from wsi_pipeline.synth.optics import Defocus, Edge, Gap, make_bubble
from wsi_pipeline.synth.stencil import Box, curve, stroke
from wsi_pipeline.synth.wanted import Wanted


def plant_wanted(
    wanted: tuple[Wanted, ...],
    anatomy: Anatomy,
    *,
    seed: int,
    size: Size,
    um_per_px: float,
    glass: tuple[float, ...],
) -> list[tuple[Wanted, Artefact]]:
    """Place artefacts, each on tissue, and draw them in the order in which light meets them.

    That is tissue, cover slip, ink on it, lens, scanner: ink under a blur is blurred, ink over a
    fold is not folded.

    Args:
        wanted: What to place.
        anatomy: Where tissue is.
        seed: Of the slide; an artefact's place depends on it and on its place in the list.
        size: Of the slide, level-0 px.
        um_per_px: µm per level-0 px, which strengths and lengths are divided by.
        glass: Colour of glass, R, G and B.
    """
    place = _Place(anatomy, size, um_per_px, glass)
    planted = [
        _PLANTERS[one.kind](place, np.random.default_rng([seed, 6, index]), one)
        for index, one in enumerate(wanted)
    ]
    order = list(_PLANTERS)
    return [
        (one, artefact)
        for one, artefact in sorted(
            zip(wanted, planted, strict=True), key=lambda pair: order.index(pair[0].kind)
        )
    ]


@dataclass(frozen=True, slots=True)
class _Place:
    anatomy: Anatomy
    size: Size
    um_per_px: float
    glass: tuple[float, ...]

    def px(self, um: float) -> float:
        return um / self.um_per_px

    def length(self, rng: np.random.Generator, low_um: float, high_um: float) -> float:
        """A random length in level-0 px that fits the slide."""
        most = 0.8 * max(self.size.width, self.size.height)
        return min(most, self.px(float(rng.uniform(low_um, high_um))))

    def spot(self, rng: np.random.Generator) -> tuple[float, float]:
        """A place in the tissue, away from its edge where it is wide enough."""
        return spot(rng, self.anatomy, 0.35 * float(self.anatomy.depth.max()))


def _pen(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    length = place.length(rng, 1500, 3500)
    width = min(length / 3, place.px(float(rng.uniform(250, 500))))
    stencil = stroke(curve(rng, place.spot(rng), length, 0.6), width, 16, 2.0)
    streaks = fractal_noise(rng, stencil.strength.shape, 40.0, octaves=3)
    inked = stencil.strength * np.clip(one.strength * (1 + 0.06 * streaks), 0, 1)
    stencil = replace(stencil, strength=inked.astype(np.float32))
    return Pen(stencil, one.variant, opaque=one.opaque)


def _blur(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    x, y = place.spot(rng)
    radius = place.length(rng, 300, 600) / 2
    stencil = stroke([(x - radius, y), (x + radius, y)], 2 * radius, 16, 3.0)
    return Blur(stencil, place.px(one.strength))


def _defocus(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    """A lane across the slide, as a scanner takes it, a third of the slide wide."""
    width, height = place.size.width, place.size.height
    x = float(rng.uniform(0.35, 0.65)) * width
    stencil = stroke([(x, -height / 8), (x, height * 1.125)], width / 3, 32, 2.0)
    return Defocus(stencil, place.px(one.strength))


def _fold(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    width = place.px(one.strength)
    path = curve(rng, place.spot(rng), place.length(rng, 1000, 2500), 0.25)
    turn = rng.uniform(0, 2 * np.pi)
    shift = (round(width * np.cos(turn)), round(width * np.sin(turn)))
    return Fold(stroke(path, width, 8, 1.5), shift, place.glass)


def _bubble(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    x, y = place.spot(rng)
    radius = min(place.px(one.strength) / 2, 0.4 * min(place.size.width, place.size.height))
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    waves = (
        1
        + 0.08 * np.cos(2 * angles + rng.uniform(0, 6))
        + 0.03 * np.cos(3 * angles + rng.uniform(0, 6))
    )
    outline = Polygon(
        np.stack([x + radius * waves * np.cos(angles), y + radius * waves * np.sin(angles)], 1)
    )
    return make_bubble(outline, place.px(float(rng.uniform(24, 40))), place.px(2.0))


def _coverslip(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    x, y = place.spot(rng)
    lean, reach = float(rng.uniform(-0.1, 0.1)), place.size.height * 0.7
    path = [(x - lean * reach, y - reach), (x + lean * reach, y + reach)]
    return Edge(stroke(path, place.px(one.strength), 8, 1.5))


def _gap(place: _Place, rng: np.random.Generator, one: Wanted) -> Artefact:
    x, y = (round(value) for value in place.spot(rng))
    wide, white = max(1, round(place.px(one.strength))), one.variant == "white"
    if rng.random() < 0.5:
        return Gap(Box(0, y, place.size.width, y + wide), white=white)
    return Gap(Box(x, 0, x + wide, place.size.height), white=white)


#: By kind, in the order in which light meets them.
_PLANTERS: dict[str, Callable[[_Place, np.random.Generator, Wanted], Artefact]] = {
    "fold": _fold,
    "bubble": _bubble,
    "coverslip": _coverslip,
    "pen": _pen,
    "blur": _blur,
    "defocus": _defocus,
    "gap": _gap,
}
