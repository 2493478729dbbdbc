"""A slide that is drawn on demand: any window of level 0, with its truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from shapely.geometry import Polygon

from wsi_pipeline.errors import UsageError
from wsi_pipeline.synth.anatomy import make_anatomy
from wsi_pipeline.synth.artefacts import Artefact, plant
from wsi_pipeline.synth.atlas import Rgb, Texture, build_textures, texture_limit
from wsi_pipeline.synth.further_artefacts import plant_wanted
from wsi_pipeline.synth.layout import DOMAINS, GLASS, PLANTED, STEP, TISSUES, Labels, Layout
from wsi_pipeline.synth.noise import value_noise
from wsi_pipeline.synth.outlines import Ring, rasterise, rings
from wsi_pipeline.synth.planting import CLASSES, Plant
from wsi_pipeline.synth.spec import SynthSpec
from wsi_pipeline.synth.stains import STAINS

#: Side in px of the squares that are tested for holding one tissue only.
CHUNK = 256
_MARGIN = 7  # labels around a window, more than the warp's reach
_WARP_PX = 1024


Classes = npt.NDArray[np.uint8]
"""uint8 (height, width): index in :data:`~wsi_pipeline.synth.planting.CLASSES` of what is planted
at every level-0 px, 0 where nothing is."""


@dataclass(frozen=True, eq=False)
class Window:
    """A drawn window.

    Attributes:
        image: uint8 (height, width, 3).
        classes: What was planted; ``None``: nothing.
    """

    image: Rgb
    classes: Classes | None


class Scene:
    """One synthetic slide's content at level 0; immutable, so threads may share it.

    Attributes:
        spec: What was asked for.
        planted: Polygons in level-0 px by kind, in the order in which they were planted.
        artefacts: What was planted over the tissue.
    """

    def __init__(self, spec: SynthSpec) -> None:
        self.spec = spec
        anatomy = make_anatomy(spec)
        self.anatomy = anatomy
        self.layout = Layout(anatomy, spec.seed)
        self.planted = anatomy.planted
        self._bounds = {
            CLASSES.index(kind): [
                (ring, (*ring.min(axis=0), *ring.max(axis=0))) for ring in rings(shapes)
            ]
            for kind, shapes in self.planted.items()
        }
        limit = texture_limit(max(spec.size.width, spec.size.height))
        kinds = [kind for kind, shapes in self.planted.items() if shapes]
        self._textures = build_textures(spec.seed, STAINS[spec.stain], kinds, limit)
        rng = np.random.default_rng([spec.seed, 3])
        self._offsets = rng.integers(0, 1 << 20, (len(TISSUES), 16, 2))
        further = plant_wanted(
            spec.artefacts,
            anatomy,
            seed=spec.seed,
            size=spec.size,
            um_per_px=spec.mpp,
            glass=STAINS[spec.stain].glass,
        )
        self.artefacts: tuple[Artefact, ...] = (
            *plant(spec, anatomy),
            *(artefact for _, artefact in further),
        )
        self._asked = [str(wanted) for wanted, _ in further]

    @property
    def tumour(self) -> tuple[Polygon, ...]:
        """The tumour's polygons in level-0 px."""
        return self.planted["tumour"]

    @property
    def glass(self) -> Texture:
        """The texture of empty glass, which starts at level-0 px 0, 0."""
        return self._textures["glass"]

    @property
    def facts(self) -> tuple[Mapping[str, object], ...]:
        """Kind and place of every artefact, in level-0 px, and how it was asked for by name."""
        named = [""] * (len(self.artefacts) - len(self._asked))
        return tuple(
            {**one.facts(), **({"asked": asked} if asked else {})}
            for one, asked in zip(self.artefacts, [*named, *self._asked], strict=True)
        )

    def plain(self, x: int, y: int, width: int, height: int) -> npt.NDArray[np.bool_]:
        """Which chunks of a window are nothing but glass, known without drawing it.

        Returns:
            bool (rows, columns) of squares of :data:`CHUNK` px from the window's corner.
        """
        found = np.zeros((-(-height // CHUNK), -(-width // CHUNK)), np.bool_)
        labels, left, top = self._labels(x, y, width, height)
        for row, column in np.ndindex(found.shape):
            size = (min(CHUNK, width - column * CHUNK), min(CHUNK, height - row * CHUNK))
            corner = (x + column * CHUNK, y + row * CHUNK)
            if _part(labels, (left, top), corner, size).any():
                continue
            touched = any(artefact.touches(*corner, *size) for artefact in self.artefacts)
            found[row, column] = not touched and not self._rings_near(*corner, *size)
        return found

    def render(self, x: int, y: int, width: int, height: int) -> Window:
        """Draw a window; it may reach over the slide's edges, where the drawing goes on.

        Args:
            x: Left level-0 px.
            y: Top level-0 px.
            width: px.
            height: px.

        Returns:
            The pixels and the truth. The same px has the same colour in every window, but for
            single px at borders between tissues, where interpolation may round differently.
        """
        window = self._base(x, y, width, height)
        image = window.image
        for index, artefact in enumerate(self.artefacts):
            if artefact.touches(x, y, width, height):
                below = _Below(self, index)
                artefact.apply(image, x, y, below)
        classes = window.classes
        if classes is not None and self.spec.padding:
            classes[:, max(0, self.spec.scanned.width - x) :] = 0
            classes[max(0, self.spec.scanned.height - y) :] = 0
        return window

    def classes(self, x: int, y: int, width: int, height: int) -> Classes | None:
        """What is planted in a window of level 0; ``None`` if nothing is."""
        near = self._rings_near(x, y, width, height)
        if not near:
            return None
        out = np.zeros((height, width), np.uint8)
        for index, outlines in near.items():
            out[rasterise(outlines, x, y, width, height) > 0] = index
        return out if out.any() else None

    def _rings_near(self, x: int, y: int, width: int, height: int) -> dict[int, list[Ring]]:
        """By class, the outlines whose bounds overlap a window."""
        near = {
            index: [
                ring
                for ring, (left, top, right, bottom) in bounds
                if left < x + width and right > x and top < y + height and bottom > y
            ]
            for index, bounds in self._bounds.items()
        }
        return {index: outlines for index, outlines in near.items() if outlines}

    def _labels(self, x: int, y: int, width: int, height: int) -> tuple[Labels, int, int]:
        """Labels of a window and a margin, and the label column and row they start at."""
        left, top = x // STEP - _MARGIN, y // STEP - _MARGIN
        right, bottom = -(-(x + width) // STEP) + _MARGIN, -(-(y + height) // STEP) + _MARGIN
        return self.layout.labels(left, top, right - left, bottom - top), left, top

    def _base(self, x: int, y: int, width: int, height: int) -> Window:
        """Tissue and glass, before artefacts."""
        classes = self.classes(x, y, width, height)
        labels, left, top = self._labels(x, y, width, height)
        image = np.empty((height, width, 3), np.uint8)
        for row in range(0, height, CHUNK):
            rows = slice(row, min(row + CHUNK, height))
            for column in range(0, width, CHUNK):
                columns = slice(column, min(column + CHUNK, width))
                size = (columns.stop - column, rows.stop - row)
                part = _part(labels, (left, top), (x + column, y + row), size)
                planted = None if classes is None else classes[rows, columns]
                self._compose(image[rows, columns], part, planted, x + column, y + row)
        return Window(image, classes)

    def _compose(self, out: Rgb, labels: Labels, planted: Classes | None, x: int, y: int) -> None:
        """Draw one chunk whose top-left level-0 px is ``x``, ``y``; labels have their margin."""
        if planted is not None and bool((planted == planted[0, 0]).all()):
            if planted[0, 0]:
                labels = np.full_like(labels, PLANTED[planted[0, 0]])
            planted = None
        first = int(labels[0, 0])
        if planted is None and bool((labels == first).all()):
            self._fill(out, first, x, y)
            return
        height, width = out.shape[:2]
        warp_y, warp_x = _warp()
        rows, columns = np.arange(y, y + height), np.arange(x, x + width)
        wrapped = np.ix_(rows % _WARP_PX, columns % _WARP_PX)
        from_row = ((rows[:, None] + warp_y[wrapped]) // STEP) - (y // STEP - _MARGIN)
        from_column = ((columns[None, :] + warp_x[wrapped]) // STEP) - (x // STEP - _MARGIN)
        codes = labels[from_row, from_column]
        if planted is not None:
            codes = np.where(planted > 0, PLANTED[planted], codes)
        counts = np.bincount(codes.ravel(), minlength=256)
        present = np.flatnonzero(counts)
        order = present[np.argsort(-counts[present], kind="stable")]
        self._fill(out, int(order[0]), x, y)
        for code in order[1:].tolist():
            where = codes == code
            some_rows = np.flatnonzero(where.any(axis=1))
            some_columns = np.flatnonzero(where.any(axis=0))
            box_rows = slice(int(some_rows[0]), int(some_rows[-1]) + 1)
            box_columns = slice(int(some_columns[0]), int(some_columns[-1]) + 1)
            source = np.empty_like(out[box_rows, box_columns])
            self._fill(source, code, x + box_columns.start, y + box_rows.start)
            np.copyto(out[box_rows, box_columns], source, where=where[box_rows, box_columns, None])

    def _fill(self, out: Rgb, code: int, x: int, y: int) -> None:
        """Fill ``out`` with one tissue of one domain."""
        tissue, domain = code & 0x0F, code >> 4
        name = TISSUES[tissue]
        if tissue == GLASS:
            self._textures[name].copy_to(out, x, y)
            return
        if name == "stroma" and domain % 2:
            name = "stroma_upright"
        shift_x, shift_y = self._offsets[tissue, domain % DOMAINS].tolist()
        self._textures[name].copy_to(out, x + shift_x, y + shift_y)


def _part(
    labels: Labels, origin: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]
) -> Labels:
    """The labels, with margin, of a part of a window.

    Args:
        labels: Of the window, with margin.
        origin: Column and row of its first label.
        corner: x, y of the part in level-0 px.
        size: Its width and height in level-0 px.
    """
    (left, top), (x, y), (width, height) = origin, corner, size
    return labels[
        y // STEP - _MARGIN - top : -(-(y + height) // STEP) + _MARGIN - top,
        x // STEP - _MARGIN - left : -(-(x + width) // STEP) + _MARGIN - left,
    ]


class _Below:
    """What lies under an artefact: the scene with only the artefacts planted before it."""

    def __init__(self, scene: Scene, count: int) -> None:
        self._scene = scene
        self._count = count

    def __call__(self, x: int, y: int, width: int, height: int) -> Rgb:
        """Draw a window of level 0: uint8 (height, width, 3)."""
        image = self._scene._base(x, y, width, height).image  # noqa: SLF001 - its own helper
        for index, artefact in enumerate(self._scene.artefacts[: self._count]):
            if artefact.touches(x, y, width, height):
                artefact.apply(image, x, y, _Below(self._scene, index))
        return image


@lru_cache(maxsize=1)
def _warp() -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """How far each px looks aside for its tissue, in px: what makes borders ragged."""
    rng = np.random.default_rng(7)
    shape = (_WARP_PX, _WARP_PX)
    down, across = (
        (8.0 * value_noise(rng, shape, 44.0) + 1.6 * value_noise(rng, shape, 12.0))
        for _ in range(2)
    )
    limit = STEP * (_MARGIN - 1)
    return down.clip(-limit, limit).astype(np.int8), across.clip(-limit, limit).astype(np.int8)


def make_scene(spec: SynthSpec) -> Scene:
    """Lay a slide out, checking that what was asked for could be drawn.

    Raises:
        UsageError: If something asked for leaves nothing to draw.
    """
    scene = Scene(spec)
    for wanted in spec.planted:
        if wanted.where and not scene.planted[wanted.kind]:
            raise UsageError(_nothing_left(wanted, spec))
    return scene


def _nothing_left(wanted: Plant, spec: SynthSpec) -> str:
    """Why a kind that was asked for is nowhere."""
    if isinstance(wanted.where, tuple):
        return f"the {wanted.kind} is covered by what is planted after it; move one of them"
    return (
        f"a {wanted.kind} of {wanted.where} of the tissue is less than a pixel on {spec.size} px; "
        "ask for a larger share or slide"
    )
