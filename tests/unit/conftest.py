"""Slides, a model and a scheduler for runs in which nothing real is computed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.scheduler import Scheduler, connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

MakeSlide = Callable[..., Path]
MakeWork = Callable[..., Work]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with connect(None, 2) as dask:
        yield dask


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePredictor:
    """The predictor every region of the test uses."""
    predictor = FakePredictor(patch_px=64)
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: predictor)
    return predictor


@pytest.fixture
def make_work(
    tmp_path: Path, stub_package: ModelPackage, scheduler: Scheduler, fake: FakePredictor
) -> MakeWork:
    def make(**settings: object) -> Work:
        analysis = AnalysisSettings.model_validate(settings)
        # A cache of its own, so that no predictor of another test is found loaded.
        runtime = RuntimeRequest("cpu", "fp32", tmp_path / "cache")
        return Work(stub_package, analysis, runtime, scheduler)

    return make


@pytest.fixture
def make_slide(tmp_path: Path) -> MakeSlide:
    """Tissue with tumour at the left, 0.5 µm/px."""

    def make(name: str = "a.tiff", tumour: int = 128) -> Path:
        image = np.full((256, 384, 3), NORMAL_COLOUR, np.uint8)
        image[:, :tumour] = TUMOUR_COLOUR
        path = tmp_path / "slides" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pyramid(path, image)
        return path

    return make
