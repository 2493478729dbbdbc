"""A slide's stain is that of its tissue, whatever its pyramid and however much glass it has."""

import numpy as np
import pytest

from wsi_pipeline.geometry import Region
from wsi_pipeline.grid import make_grid
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stain.appearance import StainFit, StainMatrix
from wsi_pipeline.stain.density import RUIFROK
from wsi_pipeline.testing.slides import ArraySlide, reduced
from wsi_pipeline.testing.stained import draw_stained
from wsi_pipeline.tiles.plan import make_plan
from wsi_pipeline.tiles.stain import fit_tissue

IMAGE = draw_stained(768, 1024, glass=384)


def fitted(slide: ArraySlide, *, patch: int = 64) -> StainFit:
    grid = make_grid(
        slide.info, choose_resolution(slide.info, mpp=0.5, level=None), patch=patch, stride=patch
    )
    plan = make_plan(slide, grid, min_tissue=0.3, exact=False)
    slide.reads.clear()
    return fit_tissue(slide, plan, "macenko")


def test_it_is_read_at_two_micrometres_from_the_coarsest_level_that_shows_them() -> None:
    levels = [IMAGE, reduced(IMAGE, 2), reduced(IMAGE, 4), reduced(IMAGE, 8)]
    slide = ArraySlide(levels)
    fit = fitted(slide)
    assert isinstance(fit.appearance, StainMatrix)
    assert {region.level for region in slide.reads} == {2}
    assert len(slide.reads) == 64
    # Averaged to 2 µm, nuclei and stroma mix a little: the stains lie closer together.
    assert fit.appearance.directions == pytest.approx(RUIFROK[:2], abs=0.15)
    # A pyramid with fewer levels shows the same tissue.
    other = fitted(ArraySlide([IMAGE])).appearance
    assert isinstance(other, StainMatrix)
    assert other.directions == pytest.approx(fit.appearance.directions, abs=0.01)
    assert other.concentrations == pytest.approx(fit.appearance.concentrations, rel=0.05)


def test_glass_and_tiles_that_cannot_be_read_do_not_count() -> None:
    slide = ArraySlide([IMAGE])
    whole = fitted(slide)
    damaged = ArraySlide([IMAGE], unreadable=[Region(0, 700, 300, 60, 60)])
    found = fitted(damaged)
    assert isinstance(whole.appearance, StainMatrix)
    assert isinstance(found.appearance, StainMatrix)
    assert found != whole
    assert found.appearance.directions == pytest.approx(whole.appearance.directions, abs=0.02)


def test_a_slide_without_tissue_has_a_reason() -> None:
    blank = np.full((256, 256, 3), 240, np.uint8)
    fit = fitted(ArraySlide([blank]))
    assert fit.appearance is None
    assert "are needed" in fit.reason
