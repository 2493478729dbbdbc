"""Published forms of encoders become packages that answer as timm does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers.mlp import SwiGLUPacked

from wsi_pipeline.importing.importer import import_model
from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.reference_check import least_cosine
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing.models import colour_patches

SIDE = 32
#: As the folder of UNI2-h says it, but small.
ARGUMENTS: dict[str, Any] = {
    "img_size": SIDE,
    "patch_size": 8,
    "embed_dim": 48,
    "depth": 2,
    "num_heads": 3,
    "init_values": 1e-5,
    "mlp_ratio": 2.66667 * 2,
    "num_classes": 0,
    "no_embed_class": True,
    "reg_tokens": 2,
    "dynamic_img_size": True,
    "act_layer": "torch.nn.SiLU",
    "mlp_layer": "timm.layers.SwiGLUPacked",
}
LAYERS = {"act_layer": torch.nn.SiLU, "mlp_layer": SwiGLUPacked}


def published(folder: Path, **changed: Any) -> torch.nn.Module:
    """A folder as encoders are published in; returns its network."""
    arguments = {**ARGUMENTS, **changed}
    built = {**arguments, **{key: LAYERS[key] for key in LAYERS if key in arguments}}
    torch.manual_seed(3)
    network = timm.create_model("vit_tiny_patch16_224", **built).eval()
    for name, values in network.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.uniform_(values, 0.2, 1.0)
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    configuration = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 0,
        "global_pool": "token",
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "crop_pct": 1.0,
            "interpolation": "bicubic",
        },
    }
    (folder / "config.json").write_text(json.dumps(configuration))
    return network


def imported(folder: Path, tmp_path: Path, **said: Any) -> ModelPackage:
    np.savez(tmp_path / "patches.npz", patches=colour_patches(16, SIDE))
    asked = ImportRequest("mine", mpp=0.5, reference=tmp_path / "patches.npz", int8=False, **said)
    return import_model(folder, asked, tmp_path / "package", tmp_path / "cache").package


@pytest.mark.parametrize("pooling", [None, "token-and-average"])
def test_a_folder_with_what_pathology_encoders_use(tmp_path: Path, pooling: Any) -> None:
    network = published(tmp_path / "folder")
    package = imported(tmp_path / "folder", tmp_path, pooling=pooling)
    about = package.description
    assert (about.output, about.classes, about.threshold.value) == ("features", (), 0.5)
    text = (package.folder / "model.yaml").read_text()
    assert not any(word in text for word in ("threshold", "classes", "positive"))
    patches, features = package.reference()
    pixels = torch.from_numpy(patches).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        tokens = network.forward_features((pixels - 0.5) / 0.25)  # type: ignore[operator]  # timm types it not
    expected = (
        tokens[:, 0] if pooling is None else torch.cat([tokens[:, 0], tokens[:, 3:].mean(1)], 1)
    )
    assert least_cosine(features, expected.numpy()) > 1 - 1e-6
    asked = RuntimeRequest("cpu", "fp32", tmp_path / "cache", threads=2, head="features")
    predictor = load_predictor(package, asked, threshold=0.5)
    assert predictor.feature_count == expected.shape[1]
    assert least_cosine(predict_all(predictor, patches), expected.numpy()) > 1 - 1e-6
    predictor.close()


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"qk_norm": True}, "builds its network with qk_norm True"),
        ({"depth": 3}, "are not the weights of timm's vit_tiny"),
        ({"mlp_layer": "os.system"}, "options.mlp_layer"),
        ({"depth": 4000}, "options.depth"),
        ({"in_chans": 4}, "in_chans 4"),
        ({"num_classes": 5}, "pass --encoder"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, changed: dict[str, Any], cause: str) -> None:
    published(tmp_path / "folder")
    path = tmp_path / "folder" / "config.json"
    said = json.loads(path.read_text())
    said["model_args"] |= changed
    path.write_text(json.dumps(said))
    with pytest.raises(ImportRefusedError, match=cause):
        imported(tmp_path / "folder", tmp_path)
    assert not (tmp_path / "package").exists()
