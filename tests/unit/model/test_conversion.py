"""Conversions are made once, in a process of their own, and kept."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.conversion import carry_graph, converted_model
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.openvino_runtime import BATCH_SIZE
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.testing import make_package


def convert(package: ModelPackage, cache: Path) -> Path:
    return converted_model(package, quantised=False, batch=BATCH_SIZE, cache=cache)


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
