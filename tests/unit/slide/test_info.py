"""Facts of a slide: downsamples as they were meant, and a round trip through JSON."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.slide.info import Level, SlideInfo, nominal_downsample


@given(
    st.integers(500, 200_000),
    st.integers(500, 200_000),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.booleans(),
)
def test_rounded_levels_have_the_whole_downsample(
    width: int, height: int, factor: int, up: bool
) -> None:
    def rounded(length: int) -> int:
        return -(-length // factor) if up else length // factor

    level = Size(rounded(width), rounded(height))
    stated = (width / level.width + height / level.height) / 2
    assert nominal_downsample(stated, level, Size(width, height)) == factor


def test_a_downsample_that_is_no_integer_stays() -> None:
    assert nominal_downsample(2.5, Size(4000, 2000), Size(10_000, 5000)) == 2.5
    assert nominal_downsample(10 / 3, Size(3000, 1500), Size(10_000, 5000)) == 10 / 3


def test_the_textbook_case_of_drift() -> None:
    # OpenSlide states 4.016 for 250 -> 62 px.
    assert nominal_downsample((250 / 62 + 4) / 2, Size(62, 250), Size(250, 1000)) == 4


def test_padded_levels_keep_what_is_stated() -> None:
    # Philips pads levels to whole tiles: the sizes explain nothing, the statement does.
    assert nominal_downsample(4.0, Size(1024, 1024), Size(3000, 3000)) == 4


def test_facts_survive_json() -> None:
    info = SlideInfo(
        Path("/slides/a.svs"),
        "aperio",
        (Level(Size(100, 50), 1.0), Level(Size(25, 12), 4.0)),
        Mpp(0.25, 0.26),
        40.0,
        Region(0, 1, 2, 30, 40),
        ("odd",),
    )
    assert SlideInfo.from_json(json.loads(json.dumps(info.to_json()))) == info
    bare = SlideInfo(Path("b"), "x", info.levels, None)
    assert SlideInfo.from_json(json.loads(json.dumps(bare.to_json()))) == bare
    assert info.size == Size(100, 50)


def test_a_level_is_never_finer_than_level_0() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Level(Size(1, 1), 0.5)
