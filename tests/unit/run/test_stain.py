"""A run shows its model px made like those it was trained on, and says so."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.checkpoint import Checkpoint
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import Scheduler
from wsi_pipeline.run.work import Work
from wsi_pipeline.stain.appearance import StainMatrix
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing import FakePredictor, make_stub_package, write_pyramid
from wsi_pipeline.testing.stained import draw_stained

NOT_NORMALISED = "stain-not-normalised"
TARGET = {
    "haematoxylin": (0.65, 0.704286, 0.285458),
    "eosin": (0.0722, 0.9919, 0.1048),
    "concentrations": (0.8, 0.5),
}


class Watching(FakePredictor):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__(patch_px=64)
        self.shown: list[NDArray[np.uint8]] = []

    def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
        self.shown.append(patches.copy())
        return super().submit(patches)

    def close(self) -> None:
        """Another model is loaded; this test's predictor stands for that too."""

    @property
    def tissue(self) -> NDArray[np.float64]:
        """Mean colour of all that is darker than glass."""
        px = np.concatenate([part.reshape(-1, 3) for part in self.shown])
        mean: NDArray[np.float64] = px[px.mean(axis=1) < 225].mean(axis=0)
        return mean


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Watching:
    predictor = Watching()
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: predictor)
    return predictor


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    stain = {"method": "macenko", "target": TARGET}
    return make_stub_package(tmp_path / "model", preprocessing={"stain": stain})


@pytest.fixture
def analyse(tmp_path: Path, package: ModelPackage, scheduler: Scheduler) -> Callable[..., Result]:
    def run(image: NDArray[np.uint8], name: str, model: ModelPackage = package) -> Result:
        path = tmp_path / f"{name}.tiff"
        write_pyramid(path, image)
        request = RuntimeRequest("cpu", "fp32", tmp_path / f"cache-{name}")
        work = Work(model, AnalysisSettings(), request, scheduler)
        return analyse_slide(prepare(path, model, work.analysis), tmp_path / f"{name}.zarr", work)

    return run


def test_the_same_tissue_stained_otherwise_looks_the_same_to_the_model(
    analyse: Callable[..., Result], shown: Watching, tmp_path: Path
) -> None:
    means = []
    for name, strength in (("pale", (0.6, 0.8)), ("dense", (1.2, 1.1))):
        shown.shown.clear()
        result = analyse(draw_stained(512, 512, strength=strength, glass=128), name)
        means.append(shown.tissue)
        record = result.record.stain
        assert record is not None
        assert (record.method, record.reason) == ("macenko", "")
        assert record.target == TARGET
        assert record.slide is not None
        assert StainMatrix(**record.slide).degrees > 8  # type: ignore[arg-type]  # its own fields
        assert NOT_NORMALISED not in {alarm.code for alarm in result.alarms}
    assert np.abs(means[0] - means[1]).max() < 4
    # Without the step they differ, as they do on the slides.
    plain = make_stub_package(tmp_path / "plain")
    shown.shown.clear()
    result = analyse(draw_stained(512, 512, strength=(0.6, 0.8), glass=128), "as-it-is", plain)
    assert result.record.stain is None
    assert np.abs(shown.tissue - means[0]).max() > 10


def test_a_slide_of_one_stain_stays_as_it_is_and_the_result_says_so(
    analyse: Callable[..., Result], shown: Watching
) -> None:
    image = draw_stained(512, 512, strength=(1.0, 0.0), glass=128)
    result = analyse(image, "one")
    record = result.record.stain
    assert record is not None
    assert record.slide is None
    assert "one stain only" in record.reason
    (said,) = (alarm.message for alarm in result.alarms if alarm.code == NOT_NORMALISED)
    assert record.reason in said
    # There is nothing to be seen in other colours where nothing was looked at.
    bare = analyse(np.full((512, 512, 3), 245, np.uint8), "bare")
    assert (bare.tiles, bare.record.stain and bare.record.stain.slide) == (0, None)
    assert NOT_NORMALISED not in {alarm.code for alarm in bare.alarms}
    verify(result.path)
    seen = {tuple(px) for part in shown.shown for px in part.reshape(-1, 3).tolist()}
    assert seen <= {tuple(px) for px in image.reshape(-1, 3).tolist()} | {(255, 255, 255)}


def test_regions_of_another_stain_are_not_taken_over(
    tmp_path: Path, analyse: Callable[..., Result], shown: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[dict[str, object]] = []
    entered = Checkpoint.__init__

    def noting(self: Checkpoint, final: Path, key: dict[str, object]) -> None:
        keys.append(key)
        entered(self, final, key)

    monkeypatch.setattr(Checkpoint, "__init__", noting)
    analyse(draw_stained(512, 512, glass=128), "a")
    (key,) = keys
    assert key["stain"]["fit"]["appearance"]["haematoxylin"]  # type: ignore[index]  # JSON
