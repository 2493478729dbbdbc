"""Marked tiles are flagged or left out, never more of them than was allowed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.quality.reasons import NOT_LOOKED_AT, Reason
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.summary import outcome_of
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.synth.inks import PEN_COLOURS
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR
from wsi_pipeline.tiles.plan import Coverage

MakeWork = Callable[..., Work]
#: Redder than blue, as the fake model wants it, and of the same two stains as the other tissue.
TUMOUR_COLOUR = (170, 80, 165)
#: Columns of tiles under ink, of six.
INKED = (0, 2)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Tissue of 384 × 256 px at 1 µm/px, tumour at the left half, a stroke over a third of it."""
    rng = np.random.default_rng(3)
    image = np.full((256, 384, 3), NORMAL_COLOUR, np.float64)
    image[:, :192] = TUMOUR_COLOUR
    image *= rng.normal(1, 0.06, (256, 384, 1))
    image[:, INKED[0] * 64 : INKED[1] * 64] = 220 * np.array(PEN_COLOURS["blue"])
    path = tmp_path / "inked.tiff"
    write_pyramid(path, image.clip(0, 255).astype(np.uint8), mpp=1.0)
    return path


def analyse(slide: Path, out: Path, work: Work) -> Result:
    prepared = prepare(slide, work.package, work.analysis)
    analyse_slide(prepared, out, work)
    return verify(out)


def columns(of: NDArray[np.uint8]) -> list[list[int]]:
    """The values of each column of the grid."""
    return [sorted(set(column.tolist())) for column in of.T]


@pytest.mark.usefixtures("fake")
def test_flagged_tiles_are_classified_and_marked(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    result = analyse(slide, tmp_path / "a.zarr", make_work(mpp=1.0))
    quality = result.quality
    assert quality is not None
    assert columns(quality) == [[Reason.PEN]] * 2 + [[0]] * 4
    assert (result.coverage == Coverage.CLASSIFIED).all()
    record = result.record.quality
    assert record is not None
    assert (record.tiles, record.marked, record.rejected, record.withheld) == (24, 8, 0, False)
    assert record.reasons["pen"] == 8
    assert result.ome is not None
    tiles = np.asarray(result.array("tiles/quality")[...])
    assert (np.bincount(tiles)[[0, Reason.PEN]] == [16, 8]).all()
    row = outcome_of(slide, result, tmp_path, "done", 1.0)
    assert (row.quality, row.marked_percent, row.rejected) == ("pen 8", 33.33, 0)
    assert "much-rejected" not in row.alarms


def test_rejected_tiles_are_not_computed(
    slide: Path, tmp_path: Path, make_work: MakeWork, fake: FakePredictor
) -> None:
    result = analyse(slide, tmp_path / "a.zarr", make_work(mpp=1.0, qc="reject"))
    assert columns(result.coverage) == [[Coverage.REJECTED]] * 2 + [[Coverage.CLASSIFIED]] * 4
    assert np.isnan(result.probability[:, :2]).all()
    assert not np.isnan(result.probability[:, 2:]).any()
    assert result.record.tiles == 16
    assert result.record.counts.rejected == 8
    assert sum(fake.batches) < 24 + 8  # the last batch is padded
    assert result.quality is not None
    assert columns(result.quality)[0] == [Reason.PEN]
    assert (np.asarray(result.mask(0)[...])[:, :128] == 255).all()


@pytest.mark.usefixtures("fake")
def test_more_than_the_limit_is_never_rejected(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    work = make_work(mpp=1.0, qc="reject", qc_limit=0.2)
    result = analyse(slide, tmp_path / "a.zarr", work)
    assert (result.coverage == Coverage.CLASSIFIED).all()
    assert result.record.quality is not None
    assert result.record.quality.withheld
    (alarm,) = [one for one in result.alarms if one.code == "much-rejected"]
    assert "33%" in alarm.message
    assert "nothing was rejected" in alarm.message


@pytest.mark.usefixtures("fake")
def test_a_rejected_cell_stays_so_where_patches_overlap(
    slide: Path, tmp_path: Path, make_work: MakeWork
) -> None:
    result = analyse(slide, tmp_path / "a.zarr", make_work(mpp=1.0, stride=32, qc="reject"))
    rejected = result.coverage == Coverage.REJECTED
    assert rejected[:, :3].all()
    assert np.isnan(result.probability[rejected]).all()
    assert result.quality is not None
    np.testing.assert_array_equal(
        rejected, (result.quality != 0) & (result.quality != NOT_LOOKED_AT)
    )


@pytest.mark.usefixtures("fake")
def test_off_leaves_no_trace(slide: Path, tmp_path: Path, make_work: MakeWork) -> None:
    off = analyse(slide, tmp_path / "off.zarr", make_work(mpp=1.0, qc="off"))
    flagged = analyse(slide, tmp_path / "on.zarr", make_work(mpp=1.0))
    assert off.quality is None
    assert off.record.quality is None
    assert off.record.fingerprint != flagged.record.fingerprint
    same = {key: value for key, value in flagged.seal.arrays.items() if "quality" not in key}
    assert off.seal.arrays == same


def test_an_alarm_needs_marks(slide: Path, make_work: MakeWork) -> None:
    prepared = prepare(slide, make_work(mpp=1.0).package, make_work(mpp=1.0, qc_limit=0).analysis)
    assert prepared.marks is not None
    assert prepared.marks.record.share == pytest.approx(1 / 3)
    assert replace(prepared.marks.record, tiles=0).share == 0
