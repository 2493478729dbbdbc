"""The level that is read, and every way in which a stated resolution can be wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.errors import SlideMetadataError, UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.slide.info import Level, SlideInfo
from wsi_pipeline.slide.resolution import MAX_ENLARGEMENT, choose_resolution, slide_mpp


def slide(
    mpp: float | Mpp | None = 0.25,
    downsamples: tuple[float, ...] = (1, 4, 16),
    objective: float | None = None,
) -> SlideInfo:
    levels = tuple(Level(Size(int(64_000 / d), int(32_000 / d)), float(d)) for d in downsamples)
    stated = Mpp(mpp, mpp) if isinstance(mpp, float) else mpp
    return SlideInfo(Path("a.svs"), "aperio", levels, stated, objective)


@pytest.mark.parametrize(
    ("mpp", "level", "scale"),
    [
        (0.25, 0, 1.0),
        (0.26, 0, 1.0),  # 4 %: used as it is
        (0.2625, 0, 1.0),  # exactly 5 %
        (0.264, 0, 1.056),
        (0.5, 0, 2.0),
        (0.96, 1, 1.0),  # a level a little coarser than wanted
        (0.94, 0, 3.76),
        (1.0, 1, 1.0),
        (2.0, 1, 2.0),
        (8.0, 2, 2.0),
        (0.24, 0, 1.0),
        (0.125, 0, 0.5),
    ],
)
def test_the_level_fits_the_resolution(mpp: float, level: int, scale: float) -> None:
    # 1.05 is no binary fraction: a hair inside the tolerance is meant.
    chosen = choose_resolution(slide(), mpp=mpp * (1 - 1e-12), level=None)
    assert chosen.level == level
    assert chosen.scale == pytest.approx(scale)
    true = 0.25 * (1, 4, 16)[level] * chosen.scale
    assert chosen.mpp.x == pytest.approx(true)
    assert abs(chosen.mpp.x / mpp - 1) <= 0.0501


@given(st.floats(0.12, 60))
def test_no_analysis_is_more_than_5_percent_off(mpp: float) -> None:
    chosen = choose_resolution(slide(), mpp=mpp, level=None)
    actual = 0.25 * (1, 4, 16)[chosen.level] * chosen.scale
    assert abs(actual / mpp - 1) <= 0.05 + 1e-9
    # Reading finer than needed costs time; coarser would invent detail.
    assert chosen.scale >= 1 or chosen.level == 0
    assert chosen.scale < 4 * 1.05 or chosen.level == 2


def test_a_level_is_taken_as_it_is() -> None:
    chosen = choose_resolution(slide(), mpp=0.5, level=1)
    assert (chosen.level, chosen.scale, chosen.mpp) == (1, 1.0, Mpp(1.0, 1.0))
    with pytest.raises(SlideMetadataError, match="levels 0 to 2, not 3"):
        choose_resolution(slide(), mpp=None, level=3)
    with pytest.raises(UsageError, match="--mpp or --level"):
        choose_resolution(slide(), mpp=None, level=None)


def test_a_missing_resolution_asks_for_one() -> None:
    with pytest.raises(SlideMetadataError, match="--slide-mpp"):
        choose_resolution(slide(None), mpp=0.5, level=0)
    chosen = choose_resolution(slide(None), mpp=0.5, level=None, override=0.5)
    assert (chosen.level, chosen.scale, chosen.mpp_0) == (0, 1.0, Mpp(0.5, 0.5))


@pytest.mark.parametrize("stated", [352.0, 0.01, Mpp(0.25, 1000.0)])
def test_an_implausible_resolution_is_refused_unless_overridden(stated: float | Mpp) -> None:
    with pytest.raises(SlideMetadataError, match="implausible"):
        slide_mpp(slide(stated))
    assert slide_mpp(slide(stated), 0.5) == (Mpp(0.5, 0.5), ())


@pytest.mark.parametrize("override", [0.0, 0.01, 352.0, -1.0])
def test_an_implausible_override_is_refused(override: float) -> None:
    with pytest.raises(UsageError, match="--slide-mpp"):
        slide_mpp(slide(), override)


def test_enlarging_is_said_and_limited() -> None:
    chosen = choose_resolution(slide(0.5), mpp=0.25, level=None)
    assert chosen.scale == 0.5
    assert "enlarged 2.00×" in chosen.warnings[-1]
    choose_resolution(slide(1.0), mpp=1.0 / MAX_ENLARGEMENT, level=None)
    with pytest.raises(SlideMetadataError, match=r"too coarse.*--mpp 1 to insist"):
        choose_resolution(slide(1.0), mpp=0.25, level=None)


def test_oddities_are_said() -> None:
    assert slide_mpp(slide(0.25, objective=40.0))[1] == ()
    assert "unusual" in slide_mpp(slide(4.0))[1][0]
    assert "not square" in slide_mpp(slide(Mpp(0.25, 0.3)))[1][0]
    assert "40× objective" in slide_mpp(slide(1.0, objective=40.0))[1][0]
