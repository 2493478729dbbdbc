"""Labelled patches for training and tests, cut from the same drawing as the slides."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import imagecodecs
import numpy as np
import numpy.typing as npt

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth.encode import halve
from wsi_pipeline.synth.layout import FAT, GLASS, PLANTED, Labels
from wsi_pipeline.synth.planting import CLASSES, KINDS, Plant
from wsi_pipeline.synth.scene import Scene
from wsi_pipeline.synth.spec import SynthSpec

PatchKind = Literal["tumour", "border", "normal", "necrosis", "mucin"]
"""``tumour``, ``necrosis``, ``mucin``: at least 80 % of the px are. ``border``: 10-60 % are tumour.
``normal``: nothing is planted."""

PatchSpread = Literal["tissue", "area"]
"""``tissue``: every tissue comes up about as often. ``area``: as often as on a slide."""

#: Level-0 px per patch px by resolution.
_DOWNSAMPLES = {0.25: 1, 0.5: 2, 1.0: 4, 2.0: 8}
_SHARES: dict[str, tuple[float, float]] = {
    "tumour": (0.8, 1.0),
    "border": (0.1, 0.6),
    "normal": (0.0, 0.0),
    "necrosis": (0.8, 1.0),
    "mucin": (0.8, 1.0),
}
#: Side of the slides that patches are cut from, level-0 px.
_SLIDE_PX = 24_576
#: Least share of tissue, by area, in a patch: glass and fat are mixed in but seldom rule.
_LEAST_TISSUE = 0.3


def render_patches(
    kind: PatchKind,
    count: int,
    *,
    seed: int,
    patch_px: int = 299,
    mpp: float = 0.25,
    stain: str = "a",
    quality: int | None = 80,
    spread: PatchSpread = "tissue",
) -> npt.NDArray[np.uint8]:
    """Cut random patches of one kind from a synthetic slide that is never written.

    Normal patches show every tissue about as often as the next, tissue edges and glass among
    them, so that a model meets what is rare on a slide too; or as often as on a slide.

    Args:
        kind: What the patches show.
        count: How many, 0 or more.
        seed: Of the slide and the places; the same seed gives the same patches.
        patch_px: Side of a patch in px of ``mpp``.
        mpp: 0.25, 0.5, 1 or 2 µm per px; coarser ones are area means of 0.25, as pyramid levels.
        stain: Name of a stain.
        quality: JPEG quality that patches pass through, as a slide's pixels do; ``None`` for none.
        spread: How often each tissue comes up.

    Returns:
        uint8 (count, patch_px, patch_px, 3).

    Raises:
        UsageError: If an argument makes no sense.
    """
    if kind not in _SHARES:
        raise UsageError(f"no patch kind is called {kind!r}; choose {', '.join(_SHARES)}")
    further = kind in CLASSES[2:]
    scene = _scene_of_kinds(seed, stain) if further else _training_scene(seed, stain)
    return _cut(scene, kind, count, patch_px=patch_px, mpp=mpp, quality=quality, spread=spread)


def labelled_patches(
    count: int,
    *,
    seed: int,
    patch_px: int = 299,
    mpp: float = 0.25,
    stain: str = "a",
    quality: int | None = 80,
    slide_px: int = _SLIDE_PX,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Cut as many patches of every class from one slide on which all kinds are planted.

    Args:
        count: Of each class.
        seed: Of the slide and the places; the same seed gives the same patches.
        patch_px: Side of a patch in px of ``mpp``.
        mpp: 0.25, 0.5, 1 or 2 µm per px, as in :func:`render_patches`.
        stain: Name of a stain.
        quality: JPEG quality that patches pass through; ``None`` for none.
        slide_px: Side of the slide in level-0 px. Small slides are drawn sooner and vary less.

    Returns:
        uint8 (classes * count, patch_px, patch_px, 3), class by class, and their indices in
        :data:`~wsi_pipeline.synth.planting.CLASSES`.

    Raises:
        UsageError: If an argument makes no sense, or no patch of a class fits the slide.
    """
    scene = _scene_of_kinds(seed, stain, slide_px)
    kinds: tuple[PatchKind, ...] = ("normal", "tumour", "necrosis", "mucin")
    patches = [
        _cut(scene, kind, count, patch_px=patch_px, mpp=mpp, quality=quality) for kind in kinds
    ]
    return np.concatenate(patches), np.repeat([CLASSES.index(kind) for kind in kinds], count)


def _cut(
    scene: Scene,
    kind: PatchKind,
    count: int,
    *,
    patch_px: int,
    mpp: float,
    quality: int | None,
    spread: PatchSpread = "tissue",
) -> npt.NDArray[np.uint8]:
    """Cut random patches of one kind: uint8 (count, patch_px, patch_px, 3)."""
    if mpp not in _DOWNSAMPLES:
        raise UsageError(f"patches come at {', '.join(map(str, _DOWNSAMPLES))} µm/px, not {mpp}")
    if count < 0 or not 1 <= patch_px <= 4096:
        raise UsageError(f"cannot draw {count} patches of {patch_px} px")
    side = patch_px * _DOWNSAMPLES[mpp]
    rng = np.random.default_rng([scene.spec.seed, 5, list(_SHARES).index(kind), side])
    out = np.empty((count, patch_px, patch_px, 3), np.uint8)
    places = _Places(scene, kind, side, spread)
    for index in range(count):
        x, y = places.draw(rng)
        image = scene.render(x, y, side, side).image
        for _ in range(_DOWNSAMPLES[mpp].bit_length() - 1):
            image = halve(image)
        out[index] = image if quality is None else _through_jpeg(image, quality)
    return out


@lru_cache(maxsize=2)
def _training_scene(seed: int, stain: str) -> Scene:
    """A large slide rich in tumour."""
    size = Size(_SLIDE_PX, _SLIDE_PX)
    return Scene(SynthSpec(size, seed, tumour=0.3, stain=stain, tissue=0.5))


@lru_cache(maxsize=2)
def _scene_of_kinds(seed: int, stain: str, side: int = _SLIDE_PX) -> Scene:
    """A slide with as much of every kind; ``side`` in level-0 px."""
    plants = tuple(Plant(kind, 0.18) for kind in KINDS if kind != "tumour")
    size = Size(side, side)
    return Scene(SynthSpec(size, seed, tumour=0.18, plants=plants, stain=stain, tissue=0.6))


@lru_cache(maxsize=2)
def _tissue_map(scene: Scene) -> tuple[Labels, int]:
    """Tissue per sample over a whole scene, planted included, and level-0 px per sample."""
    size, step = scene.spec.size, 32
    labels = scene.layout.labels(0, 0, size.width // step, size.height // step, step=step)
    tissue = (labels & 0x0F).astype(np.uint8)
    for row in range(0, tissue.shape[0], 64):
        classes = scene.classes(0, row * step, size.width, min(64, tissue.shape[0] - row) * step)
        if classes is not None:
            part = tissue[row : row + 64]
            sampled = classes[step // 2 :: step, step // 2 :: step][: len(part)]
            part[sampled > 0] = PLANTED[sampled[sampled > 0]]
    return tissue, step


class _Places:
    """Draws top-left corners (level-0 px) of patches of one kind."""

    def __init__(self, scene: Scene, kind: PatchKind, side: int, spread: PatchSpread) -> None:
        self._low, self._high = _SHARES[kind]
        self._scene, self._side = scene, side
        tissue, step = _tissue_map(scene)
        self._step = step
        self._cells = max(1, side // step)
        present = np.unique(tissue)
        # Normal patches have none of any class.
        normal = kind == "normal"
        named = KINDS if normal else ["tumour" if kind == "border" else kind]
        self._classes = [CLASSES.index(name) for name in named]
        planted = PLANTED[self._classes].tolist()
        wanted: Sequence[int] = [int(t) for t in present if t not in planted] if normal else planted
        inner = np.zeros_like(tissue, dtype=np.bool_)
        edge = self._cells // 2 + 1
        inner[edge:-edge, edge:-edge] = True
        covered = (tissue != GLASS) & (tissue != FAT)
        good = self._share(_integral(covered)) >= _LEAST_TISSUE
        share = self._share(_integral(np.isin(tissue, planted)))
        slack = 0.0 if kind == "normal" else 0.02
        good &= inner & (share >= self._low - slack) & (share <= self._high + slack)
        if kind == "border":
            spots = [np.flatnonzero(good)]
        elif spread == "area":
            spots = [np.flatnonzero(good & np.isin(tissue, wanted))]
        else:
            # By tissue first, so that rare tissues come up as often as common ones.
            spots = [np.flatnonzero(good & (tissue == t)) for t in wanted]
        self._spots = [found for found in spots if len(found) >= 20]
        self._columns = tissue.shape[1]
        if not self._spots:
            raise UsageError(f"no {kind} patch of {side} level-0 px fits this seed; try another")

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """One corner whose exact share of what is planted fits the kind."""
        half = self._side // 2
        for _ in range(200):
            spots = self._spots[int(rng.integers(len(self._spots)))]
            row, column = divmod(int(rng.choice(spots)), self._columns)
            jitter_x, jitter_y = rng.integers(0, self._step, 2).tolist()
            x, y = column * self._step + jitter_x - half, row * self._step + jitter_y - half
            classes = self._scene.classes(x, y, self._side, self._side)
            share = 0.0 if classes is None else float(np.isin(classes, self._classes).mean())
            if self._low <= share <= self._high:
                return x, y
        raise UsageError("found no place for a patch; try another seed")

    def _share(self, integral: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Share of samples set in the patch around every sample."""
        cells, low = self._cells, self._cells // 2
        padded = np.pad(integral, ((low, cells - low), (low, cells - low)), mode="edge")
        height, width = integral.shape[0] - 1, integral.shape[1] - 1
        a = padded[cells : cells + height, cells : cells + width]
        b = padded[:height, cells : cells + width]
        c = padded[cells : cells + height, :width]
        return np.asarray((a - b - c + padded[:height, :width]) / cells**2)


def _integral(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Summed-area table with a leading row and column of zeros."""
    return np.pad(mask.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


def _through_jpeg(image: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """What remains of an image after a slide's compression."""
    stream = imagecodecs.jpeg8_encode(
        image, level=quality, colorspace="rgb", outcolorspace="ycbcr", subsampling="420"
    )
    return np.asarray(imagecodecs.jpeg8_decode(stream))
