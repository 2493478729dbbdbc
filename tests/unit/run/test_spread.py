"""A run in eight orientations keeps each tile's spread, and is resumed bit for bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.export.table import tile_table
from wsi_pipeline.model import loaded
from wsi_pipeline.model.orientations import OrientedPredictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.checkpoint import Checkpoint
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import Scheduler
from wsi_pipeline.run.summary import outcome_of
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing import FakePredictor


def left_half(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of red px in the left half: another one when the patch is turned."""
    half = patches[:, :, : patches.shape[2] // 2]
    share: NDArray[np.float64] = np.mean(half[..., 0] > half[..., 2], axis=(1, 2))
    return share.astype(np.float32)


@pytest.fixture
def analyse(
    tmp_path: Path,
    stub_package: ModelPackage,
    scheduler: Scheduler,
    make_slide: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Result]:
    # Tumour of 96 px: the second column of tiles is half of it.
    slide = make_slide(tumour=96)

    def load(package: ModelPackage, request: RuntimeRequest, **_: object) -> object:
        predictor = FakePredictor(left_half, patch_px=64)
        return OrientedPredictor(predictor, package.classes) if request.tta else predictor

    monkeypatch.setattr(loaded, "load_predictor", load)

    def run(name: str, *, tta: bool) -> Result:
        analysis = AnalysisSettings(tta=tta)
        request = RuntimeRequest("cpu", "fp32", tmp_path / f"cache-{name}")
        work = Work(stub_package, analysis, request, scheduler)
        assert work.runtime.tta == tta, "the settings say what is computed"
        final = tmp_path / f"{name}.zarr"
        return analyse_slide(prepare(slide, stub_package, analysis), final, work)

    return run


def test_a_tile_s_probability_is_the_mean_and_its_spread_is_kept(
    analyse: Callable[..., Result], tmp_path: Path
) -> None:
    result = analyse("all", tta=True)
    verify(result.path)
    tiles = result.tile_table()
    spread = np.asarray(result.array("tiles/spread")[...])
    half = tiles["x"] == 64
    # Left, right, upper and lower half: 1, 0, ½ and ½, each twice.
    assert tiles["probability"][half] == pytest.approx(0.5)
    assert spread[half] == pytest.approx(np.sqrt(0.125))
    assert np.all(spread[~half] == 0)
    record = result.record.spread
    assert record is not None
    assert record.mean == pytest.approx(spread.mean(), abs=1e-6)
    table = tile_table(result)
    assert table["spread"].to_pylist() == pytest.approx(spread.tolist())
    assert outcome_of(tmp_path, result, tmp_path, "done", 1).spread == record.mean
    once = analyse("once", tta=False)
    assert once.record.spread is None
    assert "spread" not in tile_table(once).column_names
    assert "tiles/spread" not in once.seal.arrays
    assert once.record.fingerprint != result.record.fingerprint


def test_a_killed_run_goes_on_with_the_same_numbers(
    analyse: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = analyse("whole", tta=True)
    save = Checkpoint.save

    def killed(self: Checkpoint, index: int, values: NDArray[np.float32]) -> None:
        save(self, index, values)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            analyse("killed", tta=True)
    again = analyse("killed", tta=True)
    assert again.record.timings.resumed_tiles == again.tiles
    assert again.seal.arrays == whole.seal.arrays
