"""What the screen calls surely negative is left out, marked, and controlled."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.screening import Screening, screen_tiles
from wsi_pipeline.run.summary import outcome_of
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide import open_slide
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.screens import screened
from wsi_pipeline.tiles.plan import Coverage

MakeWork = Callable[..., Work]
#: Columns and rows of tiles, and columns with tumour.
SIZE, TUMOUR = (24, 20), 3
PATCH, BOUND = 64, 0.125


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Tissue everywhere, at 1 µm/px; the left columns are redder than blue."""
    rng = np.random.default_rng(3)
    image = np.full((SIZE[1] * PATCH, SIZE[0] * PATCH, 3), NORMAL_COLOUR, np.float64)
    image[:, : TUMOUR * PATCH] = TUMOUR_COLOUR
    image *= rng.normal(1, 0.05, (*image.shape[:2], 1))
    path = tmp_path / "slide.tiff"
    write_pyramid(path, image.clip(0, 255).astype(np.uint8), mpp=1.0)
    return path


def with_screen(work: Work, folder: Path, **settings: float) -> Work:
    return replace(work, package=screened(work.package, folder / "screened", **settings))


def analyse(slide: Path, out: Path, work: Work) -> Result:
    analyse_slide(prepare(slide, work.package, work.analysis), out, work)
    return verify(out)


@pytest.mark.usefixtures("fake")
def test_screened_tiles_have_coverage_and_bound(
    slide: Path, tmp_path: Path, make_work: MakeWork, fake: FakePredictor
) -> None:
    work = with_screen(make_work(mpp=1.0, qc="off"), tmp_path)
    result = analyse(slide, tmp_path / "a.zarr", work)
    record = result.record.screen
    assert record is not None
    every = SIZE[0] * SIZE[1]
    assert (record.reason, record.wrong, record.tiles) == ("", 0, every)
    is_screened = result.coverage == Coverage.SCREENED
    assert is_screened.sum() == record.screened == result.record.counts.screened
    assert outcome_of(slide, result, tmp_path, "done", 1.0).screened == record.screened
    assert not is_screened[:, :TUMOUR].any()
    # Tumour, controls by chance and next to the limit: no others.
    assert 0 < record.controls <= 8 + 8
    assert record.screened == every - TUMOUR * SIZE[1] - record.controls
    assert sum(fake.batches) == every - record.screened
    assert (result.probability[is_screened] == BOUND).all()
    mask = np.asarray(result.mask(0)[...])
    assert (mask[:, : TUMOUR * PATCH] == 1).all()
    assert (mask[:, TUMOUR * PATCH :] == 0).all(), "screened is looked at, and not tumour"
    probabilities = np.asarray(result.array("tiles/probability")[...])
    assert len(probabilities) == every
    assert (probabilities == np.float32(BOUND)).sum() >= record.screened
    assert result.record.tissue_area_mm2 == pytest.approx(every * PATCH**2 / 1e6)
    assert result.record.tumour_percent == pytest.approx(100 * TUMOUR / SIZE[0], abs=0.01)
    assert "screen-failed" not in [alarm.code for alarm in result.record.alarms]


@pytest.mark.usefixtures("fake")
def test_the_decisions_are_those_without_a_screen(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    work = with_screen(make_work(mpp=1.0, qc="off"), tmp_path)
    off = replace(work, analysis=AnalysisSettings(mpp=1.0, qc="off", screen="off"))
    with_it, without = (
        analyse(slide, tmp_path / name, one) for name, one in (("a.zarr", work), ("b.zarr", off))
    )
    assert without.record.screen is None
    assert (without.coverage == Coverage.CLASSIFIED).all()
    assert with_it.record.tumour_area_mm2 == without.record.tumour_area_mm2
    assert with_it.record.slide_score == without.record.slide_score
    assert with_it.record.fingerprint != without.record.fingerprint
    asked = with_it.coverage == Coverage.CLASSIFIED
    assert np.array_equal(with_it.probability[asked], without.probability[asked])
    # Tiles that stand for the slide are the same: so are its colours.
    assert with_it.record.colours == without.record.colours
    for key in ("x", "y", "tissue"):
        mine, other = (np.asarray(one.array(f"tiles/{key}")[...]) for one in (with_it, without))
        assert np.array_equal(mine, other)


@pytest.mark.usefixtures("fake")
def test_where_the_control_fails_the_slide_is_analysed_without_it(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    # A screen that takes blue for tumour: it lets all normal tissue through and screens the tumour.
    work = with_screen(make_work(mpp=1.0, qc="off"), tmp_path, sign=-1.0)
    result = analyse(slide, tmp_path / "a.zarr", work)
    record = result.record.screen
    assert record is not None
    assert record.wrong > 0
    assert record.screened == result.record.counts.screened == 0
    assert (result.coverage == Coverage.CLASSIFIED).all()
    assert result.record.tumour_percent == pytest.approx(100 * TUMOUR / SIZE[0], abs=0.01)
    [alarm] = [alarm for alarm in result.record.alarms if alarm.code == "screen-failed"]
    assert f"{record.wrong} of {record.controls} control tiles" in alarm.message
    assert not list(tmp_path.glob(".a*")), "nothing of the first attempt is left"


def screening(slide: Path, work: Work, **settings: object) -> Screening | None:
    analysis = AnalysisSettings.model_validate({"mpp": 1.0, "qc": "off", **settings})
    plan = prepare(slide, work.package, analysis.model_copy(update={"screen": "off"})).plan
    return screen_tiles(open_slide(slide), plan, work.package, analysis, threads=2)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"threshold": 0.2}, "validated for thresholds from 0.5 on"),
        ({"stride": 32}, "tiles side by side only"),
        ({"tta": True}, "one orientation"),
        ({"features": "float16"}, "features of every tile"),
    ],
)
def test_what_it_was_not_validated_for_it_is_not_used_for(
    slide: Path, tmp_path: Path, make_work: MakeWork, settings: dict[str, object], reason: str
) -> None:
    found = screening(slide, with_screen(make_work(), tmp_path), **settings)
    assert found is not None
    assert reason in found.record.reason
    assert found.asked.all()
    assert found.plan.cells is found.whole.cells
    assert (found.record.limit, found.record.screened) == (None, 0)


@pytest.mark.usefixtures("fake")
def test_a_slide_of_another_stain_is_not_screened(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    work = make_work()
    strange = replace(
        work,
        package=screened(work.package, tmp_path / "s", colour=(1.0, 0.0, 0.0), radius=0.05),
    )
    found = screening(slide, strange)
    assert found is not None
    assert "no stain that the screen was validated on" in found.record.reason
    assert found.asked.all()


@pytest.mark.usefixtures("fake")
def test_without_a_screen_nothing_is_said(slide: Path, make_work: MakeWork) -> None:
    assert screening(slide, make_work()) is None


@pytest.mark.usefixtures("fake")
def test_what_is_known_of_some_tiles_stands_for_all(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    work = with_screen(make_work(mpp=1.0, qc="off"), tmp_path)
    with_it = prepare(slide, work.package, work.analysis)
    screening = with_it.screening
    assert screening is not None
    surely = (~screening.asked | screening.control)[screening.asked].astype(np.float32)
    found = screening.of_all_tissue(surely)
    every = SIZE[0] * SIZE[1]
    share = 1 - TUMOUR / SIZE[0]
    assert len(found) == pytest.approx(every, rel=0.15)
    assert found.mean() == pytest.approx(share, abs=0.05)
    assert surely.mean() < share / 2
    with_it.reader.close()


@pytest.mark.usefixtures("fake")
def test_controls_are_the_same_each_time(slide: Path, tmp_path: Path, make_work: MakeWork) -> None:
    """A run that was killed goes on with the same plan."""
    work = with_screen(make_work(), tmp_path)
    one, other = (screening(slide, work) for _ in range(2))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.control, other.control)
    assert one.plan.sha256 == other.plan.sha256
