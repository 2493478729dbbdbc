"""What is looked at, what is not, and that no picture makes it fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region
from wsi_pipeline.grid import make_grid
from wsi_pipeline.quality.assessment import assess
from wsi_pipeline.quality.reasons import NOT_LOOKED_AT, Reason, count_reasons
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.slides import reduced
from wsi_pipeline.tiles.plan import Plan, make_plan


def plan_of(slide: ArraySlide, patch: int = 64) -> Plan:
    resolution = choose_resolution(slide.info, mpp=None, level=0, override=None)
    grid = make_grid(slide.info, resolution, patch=patch, stride=patch)
    return make_plan(slide, grid, min_tissue=0.0, exact=True)


def slide_of(image: NDArray[np.uint8], mpp: float = 1.0) -> ArraySlide:
    levels = [image] + [
        reduced(image, f, round_up=True) for f in (4, 16) if min(image.shape[:2]) >= f
    ]
    return ArraySlide(levels, mpp=mpp)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["white", "black", "grey", "noise", "fluorescence", "stripes"]),
    width=st.integers(1, 300),
    height=st.integers(1, 200),
    mpp=st.sampled_from([0.25, 1.0, 4.0]),
)
def test_no_picture_makes_it_fail(kind: str, width: int, height: int, mpp: float) -> None:
    rng = np.random.default_rng(width)
    image = np.full((height, width, 3), {"white": 255, "grey": 128}.get(kind, 0), np.uint8)
    if kind == "noise":
        image = rng.integers(0, 256, image.shape, np.uint8)
    elif kind == "fluorescence":
        image[::7, ::5, 2] = 250
    elif kind == "stripes":
        image[:, ::3] = 255
    slide = slide_of(image, mpp)
    plan = plan_of(slide, 16)
    found = assess(slide, plan)
    assert found.reasons.shape == (len(plan),)
    assert found.reasons.dtype == np.uint8
    known = found.reasons[found.reasons != NOT_LOOKED_AT]
    assert (known < 2 * max(Reason)).all()


def test_px_too_coarse_to_tell_are_not_looked_at() -> None:
    slide = slide_of(np.full((200, 200, 3), (150, 115, 178), np.uint8), mpp=20.0)
    found = assess(slide, plan_of(slide))
    assert (found.reasons == NOT_LOOKED_AT).all()
    assert len(found.notes) == 2
    assert "coarser" in found.notes[0]
    assert found.share == 0


@pytest.mark.parametrize("level", [0, 1])
def test_what_cannot_be_decoded_is_said(level: int) -> None:
    image = np.full((400, 400, 3), (150, 115, 178), np.uint8)
    levels = [image, reduced(image, 4), reduced(image, 16)]
    whole = slide_of(image)
    broken = ArraySlide(levels, mpp=1.0, unreadable=[Region(level, 0, 0, 10, 10)])
    found = assess(broken, plan_of(whole))
    assert any("cannot be decoded" in note for note in found.notes)
    assert not (found.reasons == NOT_LOOKED_AT).any()


def test_ink_is_a_reason_of_its_tiles_only() -> None:
    rng = np.random.default_rng(1)
    image = np.clip(np.array([150, 115, 178]) + rng.normal(0, 25, (640, 640, 1)), 0, 255).astype(
        np.uint8
    )
    image[:, 320:] = (image[:, 320:] * np.array((0.2, 0.33, 0.72))).astype(np.uint8)
    slide = slide_of(image)
    plan = plan_of(slide)
    found = assess(slide, plan)
    inked = (found.reasons & Reason.PEN) > 0
    np.testing.assert_array_equal(inked, plan.cells[:, 0] >= 5)
    assert count_reasons(found.reasons)["pen"] == inked.sum()
