"""Conversions are made once, in a process of their own, and kept."""

import importlib.util
import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.conversion import Conversion, carry_graph, converted_model
from wsi_pipeline.model.description import GRAPH, REFERENCE
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.openvino_runtime import BATCH_SIZE
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing import make_package
from wsi_pipeline.testing.models import colour_patches, model_fields


def convert(package: ModelPackage, cache: Path) -> Path:
    return converted_model(package, Conversion(quantised=False, batch=BATCH_SIZE), cache)


def test_a_conversion_is_made_once(
    package: ModelPackage, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = convert(package, model_cache)
    assert package.sha256[:16] in str(path)
    assert path.with_suffix(".bin").stat().st_size > 10**7
    made = path.stat().st_mtime_ns
    # Nothing is left that could convert: what is there is used.
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert convert(package, model_cache) == path
    assert path.stat().st_mtime_ns == made


@pytest.mark.slow
def test_a_failed_conversion_is_an_error_of_the_package_and_leaves_nothing(
    stub_package: ModelPackage, tmp_path: Path
) -> None:
    with pytest.raises(PackageError, match="cannot be converted for OpenVINO") as caught:
        convert(stub_package, tmp_path)
    assert caught.value.package == str(stub_package.folder)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


@pytest.mark.slow
def test_a_temperature_is_part_of_the_last_layer(tmp_path: Path, model_cache: Path) -> None:
    """Behind it, int8 would quantise it, and cut off logits beyond the calibration patches'."""
    package = make_package(tmp_path / "package", calibration={"temperature": 2.5})
    model = ov.Core().read_model(convert(package, model_cache))
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    last_layer = len(kinds) - 1 - kinds[::-1].index("MatMul")
    assert "Sigmoid" in kinds[last_layer:]
    assert not {"Multiply", "Divide"} & set(kinds[last_layer:])
    patches, stated = package.reference()
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    computed = [compiled(part)[0].ravel() for part in np.split(patches, len(patches) // BATCH_SIZE)]
    np.testing.assert_allclose(np.concatenate(computed), stated, atol=1e-3)


@pytest.mark.slow
def test_a_package_that_carries_its_graph_needs_no_torch(
    package: ModelPackage, model_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(package.folder, tmp_path / "package")
    carrying = load_package(tmp_path / "package")
    carry_graph(carrying, model_cache)
    made = convert(package, model_cache)
    # In the place of torch, for this process and the child that converts.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "torch.py").write_text("raise ModuleNotFoundError('hidden', name='torch')")
    monkeypatch.setenv("PYTHONPATH", f"{hidden}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PackageError, match=r"torch.*not installed.*wsi models convert") as caught:
        convert(package, tmp_path / "cache")
    assert caught.value.package == str(package.folder)
    path = convert(carrying, tmp_path / "cache")
    # The very graph that torch makes of the package.
    assert path.with_suffix(".bin").read_bytes() == made.with_suffix(".bin").read_bytes()


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_a_package_may_be_an_openvino_graph(tmp_path: Path, head: str) -> None:
    """Normalisation, temperature and head are put around the graph, as around a torch network."""
    folder, units = tmp_path / "package", 1 if head == "sigmoid" else 2
    folder.mkdir()
    torch.manual_seed(2)
    network = timm.create_model("resnet10t", num_classes=units).eval()
    torch.nn.init.normal_(network.get_submodule("fc").get_parameter("weight"), std=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = ov.convert_model(network, example_input=torch.zeros(2, 3, 64, 64))
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    fields = model_fields(
        64,
        architecture={"name": "graph"},
        head=head,
        classes=["tumour", "normal"],
        normalisation={"mean": [120.0, 110.0, 100.0], "std": [60.0, 50.0, 40.0]},
        calibration={"temperature": 1.5},
    )
    patches = colour_patches(16, 64)
    pixels = torch.from_numpy(patches).permute(0, 3, 1, 2).float()
    mean, std = (
        torch.tensor(fields["normalisation"][key])[:, None, None] for key in ("mean", "std")
    )
    with torch.inference_mode():
        logits = network((pixels - mean) / std) / 1.5
    shares = torch.sigmoid(logits) if units == 1 else torch.softmax(logits, 1)
    expected = shares[:, 0].numpy()
    assert np.ptp(expected) > 0.01
    write_npz(folder / REFERENCE, patches=patches, probabilities=expected)
    package = write_description(folder, fields)
    request = RuntimeRequest("cpu", "fp32", tmp_path / "cache", threads=2)
    predictor = load_predictor(package, request, threshold=0.5)
    np.testing.assert_allclose(predict_all(predictor, patches), expected, rtol=0, atol=1e-4)
    predictor.close()
    with pytest.raises(PackageError, match="holds the network as graph, not as weights"):
        load_classifier(package)
