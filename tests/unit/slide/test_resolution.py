"""The level that is read, and every way in which a stated resolution can be wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.errors import SlideMetadataError, UsageError
from wsi_pipeline.geometry import NO_STRETCH, Mpp, Size
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


@pytest.mark.parametrize("objective", [None, 40.0])
def test_a_coarse_level_kept_on_its_own_is_too_coarse_not_implausible(
    objective: float | None,
) -> None:
    """Level 7 of a 40× scan: its objective is the scan's, its px are 128 times as long."""
    alone = (Level(Size(763, 1724), 1.0),)
    level_7 = SlideInfo(Path("a.dcm"), "dicom", alone, Mpp(28.97, 28.97), objective)
    assert slide_mpp(level_7)[0] == Mpp(28.97, 28.97)
    with pytest.raises(SlideMetadataError) as told:
        choose_resolution(level_7, mpp=0.5, level=None)
    assert "its finest px are 28.97 µm, too coarse for a model that wants 0.5 µm" in str(told.value)
    assert "implausible" not in str(told.value)
    assert choose_resolution(level_7, mpp=28.97, level=None).mpp == Mpp(28.97, 28.97)
    # What a person states is believed as well.
    unstated = SlideInfo(Path("a.png"), "png", alone, None)
    assert choose_resolution(unstated, mpp=29, level=None, override=28.97).scale == 1


@pytest.mark.parametrize(
    ("size", "mpp", "objective", "reason"),
    [
        ((300, 250), 352.8, None, "106 × 88 mm"),  # 72 dots per inch, as image editors write
        ((2220, 2967), 500.0, None, "glass slide"),  # mm for µm
        ((100_000, 80_000), 0.84, None, "glass slide"),
        ((2220, 2967), 0.0005, None, "no light microscope"),
        ((2220, 2967), 0.1, 20.0, "20× objective makes px of about 0.5 µm"),
    ],
)
def test_implausible_is_what_contradicts_the_file(
    size: tuple[int, int], mpp: float, objective: float | None, reason: str
) -> None:
    info = SlideInfo(Path("a"), "x", (Level(Size(*size), 1.0),), Mpp(mpp, mpp), objective)
    with pytest.raises(SlideMetadataError, match=f"implausible.*{reason}.*--slide-mpp"):
        slide_mpp(info)


def test_a_person_may_know_of_larger_glass() -> None:
    organ = SlideInfo(Path("a"), "x", (Level(Size(190_000, 140_000), 1.0),), Mpp(1, 1))
    with pytest.raises(SlideMetadataError, match="implausible"):
        slide_mpp(organ)
    assert slide_mpp(organ, 1.0) == (Mpp(1, 1), ())
    with pytest.raises(SlideMetadataError, match=r"cannot have px of 2 µm: .*380 × 280 mm"):
        slide_mpp(organ, 2.0)


@pytest.mark.parametrize(("objective", "usual"), [(20.0, "0.5"), (40.0, "0.25")])
def test_an_objective_suggests_a_resolution_and_decides_nothing(
    objective: float, usual: str
) -> None:
    info = slide(None, objective=objective)
    for level in (None, 1):
        with pytest.raises(SlideMetadataError) as told:
            choose_resolution(info, mpp=0.5, level=level)
        assert f"give --slide-mpp {usual} (`slide_mpp`)" in str(told.value)
        assert "with --level, too" in str(told.value)
    with pytest.raises(SlideMetadataError, match="give it with --slide-mpp"):
        slide_mpp(slide(None))


@pytest.mark.parametrize("noise", [1e-12, 1e-3, 0.0199])
def test_nearly_square_px_are_taken_as_ever_by_their_mean(noise: float) -> None:
    near = Mpp(0.25, 0.25 * (1 + noise))
    chosen = choose_resolution(slide(near), mpp=0.7, level=None)
    assert chosen.stretch == NO_STRETCH
    assert (chosen.level, chosen.scale) == (0, 0.7 / ((near.x + near.y) / 2))
    assert choose_resolution(slide(near), mpp=None, level=1).mpp == near.scaled(4)


@pytest.mark.parametrize(
    ("mpp", "wanted", "level", "scale", "stretch"),
    [
        (Mpp(0.5, 0.25), 0.5, 0, 1.0, (1, 2)),  # x as it is
        (Mpp(0.25, 0.5), 0.49, 0, 1.0, (2, 1)),  # 2 % off: as it is, too
        (Mpp(0.5, 0.25), 2.0, 1, 1.0, (1, 2)),
        (Mpp(0.5, 0.25), 0.8, 0, 1.6, (1, 2)),
        (Mpp(0.5, 0.25), 0.25, 0, 0.5, (1, 2)),
        (Mpp(0.25, 0.255), 0.255, 0, 1.0, (1.02, 1)),
    ],
)
def test_px_that_are_not_square_are_made_so_along_the_coarser_axis(
    mpp: Mpp, wanted: float, level: int, scale: float, stretch: tuple[float, float]
) -> None:
    chosen = choose_resolution(slide(mpp), mpp=wanted, level=None)
    assert chosen.level == level
    assert chosen.scale == pytest.approx(scale)
    assert (chosen.stretch.x, chosen.stretch.y) == pytest.approx(stretch)
    assert chosen.mpp.x == chosen.mpp.y == pytest.approx(wanted, rel=0.03)
    for axis in ("x", "y"):
        px = getattr(chosen.stretch, axis) * chosen.scale * (1, 4, 16)[level]
        assert px * getattr(mpp, axis) == pytest.approx(chosen.mpp.x)


def test_enlarging_is_said_and_limited() -> None:
    chosen = choose_resolution(slide(0.5), mpp=0.25, level=None)
    assert chosen.scale == 0.5
    assert "enlarged 2.00×" in chosen.warnings[-1]
    choose_resolution(slide(1.0), mpp=1.0 / MAX_ENLARGEMENT, level=None)
    with pytest.raises(SlideMetadataError, match=r"too coarse.*--mpp 1 anyway.*--slide-mpp"):
        choose_resolution(slide(1.0), mpp=0.25, level=None)


def test_oddities_are_said() -> None:
    assert slide_mpp(slide(0.25, objective=40.0))[1] == ()
    assert "unusual" in slide_mpp(slide(1.2))[1][0]
    assert "not square" in slide_mpp(slide(Mpp(0.25, 0.3)))[1][0]
    assert slide_mpp(slide(Mpp(0.25, 0.2549)))[1] == ()
    assert "40× objective" in slide_mpp(slide(1.0, objective=40.0))[1][0]
