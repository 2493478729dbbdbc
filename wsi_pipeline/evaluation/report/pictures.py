"""Pictures of slides and patches with truth and mask, as data URIs for a page of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.errors import WsiError
from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.reference_standard import open_reference_standard
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.export.backdrop import read_backdrop
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.export.painting import rasterise
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.page.document import data_uri
from wsi_pipeline.slide import open_slide
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.tiles.patches import read_patch

Rgb = NDArray[np.uint8]
Area = NDArray[np.bool_]

#: Longer side of a slide's picture, and side of a patch's, in px.
SIDE, PATCH = 760, 240
#: Errors of one slide in the gallery; one bad slide must not fill it.
PER_SLIDE = 4

#: Okabe and Ito's colours, told apart by nearly all eyes: in both, mask only, truth only.
_BOTH, _MASK_ONLY, _TRUTH_ONLY = (0, 158, 115), (213, 94, 0), (0, 90, 200)
_OUTLINE = (255, 222, 0)
_OPACITY = 0.62


@dataclass(frozen=True, slots=True)
class SlidePicture:
    """A slide as it is with the truth outlined, and where mask and truth agree; data URIs."""

    slide: Assessment
    tissue: str
    agreement: str


@dataclass(frozen=True, slots=True)
class PatchPicture:
    """A patch that was judged wrongly with confidence; its truth is outlined."""

    slide: Assessment
    x: int
    y: int
    probability: float
    tumour: bool
    picture: str


def examples(slides: Sequence[Assessment]) -> list[tuple[str, Assessment]]:
    """The slides with the best, the median and the worst Dice; fewer where there are fewer."""
    known = [s for s in slides if s.positive and s.overlap is not None]
    known.sort(key=lambda s: (-(s.overlap.dice if s.overlap else 0), s.slide.name))
    if not known:
        return []
    if len(known) == 1:
        return [("only", known[0])]
    chosen = [("best", known[0]), ("worst", known[-1])]
    if len(known) > 2:
        chosen.insert(1, ("median", known[len(known) // 2]))
    return chosen


def slide_picture(slide: Assessment, settings: EvaluationSettings) -> SlidePicture:
    """Draw a slide.

    Raises:
        WsiError: its file, result or truth cannot be read.
    """
    decision = _decision(slide, settings)
    result, path = _result(slide), slide.slide.path
    if path is None:
        raise WsiError(f"the table does not say where slide {slide.slide.name} is")
    size = decision.picture_size(SIDE)
    px_0 = PerAxis(decision.slide.width / size.width, decision.slide.height / size.height)
    tissue = read_backdrop(result, path, size)
    standard = open_reference_standard(slide.slide, decision.slide, decision.of.name)
    truth = standard.truth
    tumour = np.zeros(tissue.shape[:2], bool)
    if truth is not None:
        tumour = truth.window(0, 0, size.width, size.height, px_0)
    mask = rasterise(decision, size).tumour
    outlined = tissue.copy()
    outlined[_edge(tumour, 2)] = _TRUTH_ONLY
    return SlidePicture(slide, data_uri(outlined), data_uri(_agreement(tissue, tumour, mask)))


def worst_errors(
    slides: Sequence[Assessment], count: int, *, missed: bool
) -> list[tuple[Assessment, int]]:
    """The most confident errors: slide and index of the tile, the most confident first.

    Args:
        slides: Of the evaluation.
        count: How many are wanted; at most :data:`PER_SLIDE` of a slide.
        missed: Tumour that was called normal; else normal tissue that was called tumour.
    """
    errors: list[tuple[float, int, int]] = []
    for number, slide in enumerate(slides):
        tiles = slide.tiles
        if tiles is None:
            continue
        called = tiles.called
        if called is None:
            called = tiles.probability >= np.float32(slide.threshold or 0.5)
        wrong = np.flatnonzero(tiles.tumour & ~called if missed else ~tiles.tumour & called)
        doubt = tiles.probability[wrong] if missed else 1 - tiles.probability[wrong]
        first = np.argsort(doubt, kind="stable")[:PER_SLIDE]
        errors += [(float(doubt[i]), number, int(wrong[i])) for i in first]
    return [(slides[number], tile) for _, number, tile in sorted(errors)[:count]]


def patch_picture(slide: Assessment, tile: int, settings: EvaluationSettings) -> PatchPicture:
    """Draw the patch of a tile as the model saw it.

    Raises:
        WsiError: its file or truth cannot be read.
    """
    assert slide.tiles is not None  # whoever asks has the tile's index
    decision = _decision(slide, settings)
    grid, path = decision.grid, slide.slide.path
    if path is None:
        raise WsiError(f"the table does not say where slide {slide.slide.name} is")
    x, y = int(slide.tiles.x[tile]), int(slide.tiles.y[tile])
    cell = grid.cell_0
    reader = open_slide(path)
    try:
        pixels = read_patch(reader, grid, round(x / cell.x), round(y / cell.y)).copy()
        size, positive = reader.info.size, decision.of.name
        truth: Truth | None = open_reference_standard(slide.slide, size, positive).truth
    finally:
        reader.close()
    if truth is not None:
        inside = truth.window(x, y, grid.patch, grid.patch, grid.px_0)
        pixels[_edge(inside, 2)] = _OUTLINE
    image = Image.fromarray(pixels).resize((PATCH, PATCH), Image.Resampling.LANCZOS)
    return PatchPicture(
        slide,
        x,
        y,
        float(slide.tiles.probability[tile]),
        bool(slide.tiles.tumour[tile]),
        data_uri(np.asarray(image)),
    )


def _agreement(tissue: Rgb, truth: Area, mask: Area) -> Rgb:
    """The slide in pale grey, coloured where there is tumour in truth or mask."""
    grey = np.asarray(Image.fromarray(tissue).convert("L"), np.float32)
    pale = np.repeat((70 + grey * (185 / 255))[..., None], 3, axis=2)
    for area, colour in (
        (truth & mask, _BOTH),
        (mask & ~truth, _MASK_ONLY),
        (truth & ~mask, _TRUTH_ONLY),
    ):
        pale[area] = pale[area] * (1 - _OPACITY) + np.array(colour, np.float32) * _OPACITY
    painted = np.rint(pale).astype(np.uint8)
    painted[_edge(truth, 1)] = _TRUTH_ONLY
    return painted


def _edge(area: Area, width: int) -> Area:
    """The border of an area, inside of it, ``width`` px wide; the picture's own edge is none."""
    inner: Area = ndimage.binary_erosion(area, np.ones((3, 3)), iterations=width, border_value=1)
    edge: Area = area & ~inner
    return edge


def _result(slide: Assessment) -> Result:
    assert slide.origin is not None  # tiles and masks come from results
    return Result(slide.origin[0])


def _decision(slide: Assessment, settings: EvaluationSettings) -> Decision:
    return decide(_result(slide), settings.threshold)
