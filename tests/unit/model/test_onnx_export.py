"""A package as one ONNX file gives the package's probabilities, however many patches at once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
import pytest

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.onnx_export import export_onnx
from wsi_pipeline.model.onnx_file import carries_onnx, find_onnx, keep_onnx, probe_pixels
from wsi_pipeline.model.package import ModelPackage


@pytest.fixture(scope="module")
def exported(kinds_package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    assert export_onnx(kinds_package, path).largest < 1e-5
    return path


def test_it_gives_the_networks_probabilities(kinds_package: ModelPackage, exported: Path) -> None:
    patches = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), np.uint8)
    pixels = as_pixels(patches)
    wanted = load_classifier(kinds_package)(pixels).detach().numpy()
    session = onnxruntime.InferenceSession(str(exported))
    (whole,) = session.run(None, {"pixels": pixels.numpy()})
    np.testing.assert_allclose(whole, wanted, atol=1e-5)
    (alone,) = session.run(None, {"pixels": pixels.numpy()[:1]})
    np.testing.assert_allclose(alone, whole[:1], atol=1e-6)


def test_the_probe_is_an_image_with_many_colours() -> None:
    probe = probe_pixels(64)
    assert probe.shape == (1, 64, 64, 3)
    assert len(np.unique(probe)) == 256
    assert probe.ravel()[:9].tolist() == [0, 37, 74, 111, 148, 185, 222, 3, 51]


def test_it_says_what_it_is(kinds_package: ModelPackage, exported: Path) -> None:
    said = onnxruntime.InferenceSession(str(exported)).get_modelmeta().custom_metadata_map
    assert said["package_sha256"] == kinds_package.sha256
    assert json.loads(said["classes"]) == list(kinds_package.classes.names)
    assert said["notice"] == kinds_package.description.notice


def test_it_travels_with_the_package_and_is_held_to_it(
    kinds_package: ModelPackage, exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kinds"
    folder.mkdir()
    for file in kinds_package.folder.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    package = ModelPackage(folder, kinds_package.description, kinds_package.sha256)
    assert find_onnx(package) is None
    assert not carries_onnx(package)
    kept = keep_onnx(package, exported, [0.25, 0.75])
    assert carries_onnx(package)
    assert find_onnx(package) == (kept, [0.25, 0.75])
    other = ModelPackage(folder, kinds_package.description, "0" * 64)
    with pytest.raises(PackageError, match="of another package"):
        find_onnx(other)
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(PackageError, match="was altered"):
        find_onnx(package)


def test_what_holds_no_weights_is_refused(stub_package: ModelPackage, tmp_path: Path) -> None:
    graph = {"architecture": Architecture(name="graph")}
    package = replace(stub_package, description=stub_package.description.model_copy(update=graph))
    with pytest.raises(PackageError, match="holds its network as an OpenVINO graph"):
        export_onnx(package, tmp_path / "a.onnx")
