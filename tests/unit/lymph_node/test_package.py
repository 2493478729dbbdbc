from pathlib import Path

import numpy as np
import pytest
import torch

from wsi_pipeline.analysis_settings import DEFAULT_MODEL
from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.lymph_node.head_file import load_head, load_metrics, save_fitted
from wsi_pipeline.lymph_node.patches import read_pcam
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.provided import PROVIDED

PATCHES = Path(__file__).parents[4] / "shared" / "data" / "patches"


def test_it_is_the_usual_model() -> None:
    assert DEFAULT_MODEL == LYMPH_NODE
    assert LYMPH_NODE in PROVIDED


def test_it_says_what_it_is_worth(lymph_node_package: ModelPackage) -> None:
    about, metrics = lymph_node_package.description, load_metrics()
    assert about.notice == "Research preview, fitted on 3,700 patches"
    assert not about.training.synthetic
    auc = metrics["held_out"]["pcam"]["auc"]
    assert auc["value"] >= 0.94
    assert auc["low"] < auc["value"] < auc["high"]
    assert f"patch AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})" in (
        about.training.data
    )
    assert about.training.colours is not None
    assert about.threshold.value == metrics["calibration"]["threshold"]


def test_the_fitted_head_is_small_and_kept_exactly(tmp_path: Path) -> None:
    head, metrics = load_head(), load_metrics()
    save_fitted(head, metrics, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 500_000
    again = load_head(tmp_path)
    for name, value in head.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert load_metrics(tmp_path) == metrics


@pytest.mark.skipif(not PATCHES.exists(), reason="the real patches are not here")
def test_it_tells_real_tumour_from_normal_tissue(
    lymph_node_package: ModelPackage, tmp_path: Path
) -> None:
    """Some patches that it was fitted on, through the runtime: that the parts fit together."""
    found = read_pcam(PATCHES / "pcam", limit=60)
    margin = (lymph_node_package.description.patch_px - found.pixels.shape[1]) // 2
    border = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    pixels = np.pad(found.pixels, border, mode="symmetric")
    request = RuntimeRequest("cpu", "fp32", tmp_path, runtime="openvino")
    answers = predict_all(load_predictor(lymph_node_package, request, threshold=0.5), pixels)
    assert answers.shape == (len(pixels), 3, 3)
    assert roc_auc(found.tumour, answers[:, 1, 1]) > 0.9
