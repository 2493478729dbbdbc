"""Labels follow their rule px by px, and jitter never changes one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.testing import ArraySlide, BoxTruth
from wsi_pipeline.testing.models import NORMAL_COLOUR
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.tiles.plan import make_plan
from wsi_pipeline.training.candidates import grids, label, survey
from wsi_pipeline.training.patch_source import SlideSource, SlideTiles
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.recipe_sections import LabelRule

PATCH, STRIDE = 12, 5


def grid(scale: float = 1.0, downsample: float = 2.0, side: int = 60) -> Grid:
    return Grid(1, Size(side, side), downsample, scale, PATCH, STRIDE, Mpp(0.5, 0.5))


def cells_of(grid: Grid) -> NDArray[np.int64]:
    rows, columns = np.mgrid[: grid.size.height, : grid.size.width]
    return np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.int64)


def called(truth: BoxTruth, rule: LabelRule, x: float, y: float, px: float) -> bool:
    """The rule as its words say it, for a patch whose corner is ``x``, ``y`` in level-0 px."""
    tumour = truth.window(x, y, PATCH, PATCH, px)
    if rule.rule == "central":
        inset = (PATCH - rule.central_px) // 2
        centre = tumour[inset : inset + rule.central_px, inset : inset + rule.central_px]
        return bool(centre.any())
    if rule.rule == "any":
        return bool(tumour.any())
    return bool(tumour.mean() >= rule.fraction)


RULES = [
    LabelRule(rule="any"),
    LabelRule(rule="central", central_px=4),
    LabelRule(rule="fraction", fraction=0.25),
    LabelRule(rule="fraction", fraction=1.0),
]
boxes = st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(1, 60), st.integers(1, 60))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.rule}-{rule.fraction}")
@pytest.mark.parametrize("scale", [1.0, 1.5])
@given(found=st.lists(boxes, max_size=3), jitter=st.integers(0, 7))
def test_labels_equal_the_rule_in_words(
    rule: LabelRule, scale: float, found: list[tuple[int, int, int, int]], jitter: int
) -> None:
    truth, one = BoxTruth(tuple(found)), grid(scale)
    cells = cells_of(one)
    tumour, steady = label(one, cells, truth, rule, jitter)
    px = one.downsample * one.scale
    for cell, is_tumour, is_steady in zip(cells, tumour, steady, strict=True):
        x, y = (int(value) * STRIDE * px for value in cell)
        assert is_tumour == called(truth, rule, x, y, px)
        if is_steady:
            for dx, dy in ((-jitter, -jitter), (jitter, -jitter), (-jitter, jitter), (1, jitter)):
                if max(abs(dx), abs(dy)) <= jitter:
                    moved = called(truth, rule, x + dx * px, y + dy * px, px)
                    assert moved == is_tumour


def test_far_from_tumour_everything_is_steady() -> None:
    one = grid()
    truth = BoxTruth(((0, 0, 10, 10),))
    cells = cells_of(one)
    _, steady = label(one, cells, truth, LabelRule(rule="any"), 3)
    far = (cells * STRIDE * 2 > 20).any(axis=1)
    assert steady[far].all()


@pytest.fixture
def slide() -> ArraySlide:
    rng = np.random.default_rng(0)
    image = np.full((128, 160, 3), NORMAL_COLOUR, np.float64) + rng.normal(0, 15, (128, 160, 3))
    image[:, 96:] = 245  # glass
    whole = image.clip(0, 255).astype(np.uint8)
    return ArraySlide([whole, whole[::2, ::2].copy()], mpp=0.5)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "name": "r",
            "architecture": {"name": "baseline"},
            "patch_px": 16,
            "levels": [0, 1],
            "labels": {"rule": "any", "central_px": 16},
            "sampling": {"stride": 8, "jitter": 3},
        }
    )


def test_tiles_are_those_inference_would_classify(slide: ArraySlide, recipe: Recipe) -> None:
    fine, coarse = grids(slide, recipe)
    assert (fine.level, coarse.level) == (0, 1)
    tiles = survey(slide, fine, None, recipe, exhaustive=True, threads=1)
    plan = make_plan(slide, fine, min_tissue=0.3, exact=False, threads=1)
    assert np.array_equal(tiles.cells, plan.cells)
    assert not tiles.tumour.any()
    assert tiles.steady.all()


def test_a_partly_annotated_slide_gives_no_negative(slide: ArraySlide, recipe: Recipe) -> None:
    truth = BoxTruth(((16, 16, 24, 24),))
    one = grids(slide, recipe)[0]
    every = survey(slide, one, truth, recipe, exhaustive=True, threads=1)
    partial = survey(slide, one, truth, recipe, exhaustive=False, threads=1)
    assert not every.tumour.all()
    assert partial.tumour.all()
    assert np.array_equal(partial.cells, every.cells[every.tumour])
    nothing = survey(slide, one, None, recipe, exhaustive=False, threads=1)
    assert len(nothing.cells) == 0


def test_patches_are_read_as_inference_reads_them(
    slide: ArraySlide, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = tuple(
        survey(slide, one, None, recipe, exhaustive=True, threads=1) for one in grids(slide, recipe)
    )
    source = SlideSource([SlideTiles("a", slide.info.path, tiles)])
    monkeypatch.setattr("wsi_pipeline.training.patch_source.open_slide", lambda *_, **__: slide)
    count = 0
    for level in tiles:
        for column, row in level.cells:
            expected = read_patch(slide, level.grid, int(column), int(row))
            assert np.array_equal(source.read(count), expected)
            count += 1
    assert count == len(source.label)
    column, row = (int(value) for value in tiles[0].cells[0])
    moved = source.read(0, 3, 2)
    whole = slide.read_scanned
    assert np.array_equal(moved[:-2, :-3], source.read(0)[2:, 3:])
    assert whole is not None
    assert (column, row) == (0, 0)


def test_thinning_keeps_some_of_each_class(slide: ArraySlide, recipe: Recipe) -> None:
    truth = BoxTruth(((16, 16, 24, 24),))
    one = survey(slide, grids(slide, recipe)[0], truth, recipe, exhaustive=True, threads=1)
    slides = [SlideTiles("a", slide.info.path, (one,))]
    thin = SlideSource(slides, per_slide=3, seed=1)
    assert ((thin.label == 1).sum(), (thin.label == 0).sum()) == (3, 3)
    assert thin.identity == SlideSource(slides, per_slide=3, seed=1).identity
    assert thin.identity != SlideSource(slides, per_slide=3, seed=2).identity
