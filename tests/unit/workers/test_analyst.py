"""One order from beginning to end, in this process."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from networks_support import with_networks
from numpy.typing import NDArray

from workers.analyst import Analyst
from workers.messages import Message, Order, Progress, WorkerSetup
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.service.jobs.submission import make_request
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.storage import open_storage
from wsi_pipeline.testing import FakePredictor, red_share, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR


def analysed(
    package: ModelPackage, tmp_path: Path, predictor: FakePredictor, patch: pytest.MonkeyPatch
) -> tuple[list[str], list[RuntimeRequest]]:
    """One order: the stages that were told, and what each loading of the model asked for."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "stub").symlink_to(package.folder)
    settings = ServiceSettings(
        data_dir=tmp_path / "data", models_dir=models, cache_dir=tmp_path / "cache", device="cpu"
    )
    slide = tmp_path / "a.tiff"
    write_pyramid(slide, np.full((256, 384, 3), NORMAL_COLOUR, np.uint8))
    storage = open_storage(settings.storage_url)
    storage.put_file("slides/a/slide.tiff", slide)
    told: list[Message] = []
    loads: list[RuntimeRequest] = []

    def load(_: object, request: RuntimeRequest, **__: object) -> FakePredictor:
        loads.append(request)
        return predictor

    patch.setattr(loaded, "load_predictor", load)
    request = make_request("", "stub", package, AnalysisSettings())
    order = Order(
        job_id="1" * 32,
        slide_location="slides/a/slide.tiff",
        slide_sha256=hashlib.sha256(slide.read_bytes()).hexdigest(),
        model="stub",
        model_sha256=request.model_sha256,
        config=request.config,
        fingerprint=request.fingerprint,
        folder=str(tmp_path / "work"),
        destination="results/1/mask.zarr",
    )
    (tmp_path / "work").mkdir()
    analyst = Analyst(WorkerSetup.of(settings), told.append)
    try:
        stored = analyst.analyse_order(order)
    finally:
        analyst.close()
    assert stored.summary["tiles"] == 24
    assert storage.has_tree(order.destination)
    return [news.stage for news in told if isinstance(news, Progress) and news.stage], loads


def test_every_stage_is_told(
    stub_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that the model is waited for: the first time, that is over a minute of nothing else."""
    stages, loads = analysed(stub_package, tmp_path, FakePredictor(patch_px=64), monkeypatch)
    assert stages[0] == "loading"
    assert stages[-3:] == ["classifying", "writing", "publishing"]
    assert [request.head for request in loads] == ["classes"]


def test_a_model_whose_answer_for_slides_needs_features_is_loaded_once(
    stub_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, _ = with_networks(stub_package, tmp_path / "package")

    def answer(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = patches.reshape(len(patches), -1)[:, :64].astype(np.float32) / 255
        return np.concatenate([red_share(patches)[:, None], features], axis=1)

    predictor = FakePredictor(answer, patch_px=64, features=64)
    _, loads = analysed(package, tmp_path, predictor, monkeypatch)
    assert [request.head for request in loads] == ["both"]
