"""Networks that answer with a map: stride and margin are told by the network itself."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsi_pipeline.importing import importer
from wsi_pipeline.importing.importer import Imported, import_model
from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing.maps import MAP_MARGIN, answer_map, make_map_network
from wsi_pipeline.testing.models import colour_patches

_SIDE = 128


def onnx_file(network: Any, path: Path, *, fixed: bool = False) -> Path:
    axes = {"x": {0: "n", 2: "h", 3: "w"}, "y": {0: "n", 2: "h", 3: "w"}}
    names: Any = {"input_names": ["x"], "output_names": ["y"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this way of exporting deprecated
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, _SIDE, _SIDE),),
            path,
            dynamo=False,
            dynamic_axes=None if fixed else axes,
            **names,
        )
    return path


def imported(path: Path, tmp_path: Path, **said: Any) -> Imported:
    np.savez(tmp_path / "patches.npz", patches=colour_patches(16, _SIDE))
    usual: dict[str, Any] = {
        "mpp": 0.5,
        "patch_px": _SIDE,
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "reference": tmp_path / "patches.npz",
        "int8": False,
    }
    request = ImportRequest("mine", **(usual | said))
    return import_model(path, request, tmp_path / "package", tmp_path / "cache", overwrite=True)


@pytest.mark.parametrize(("stride", "units"), [(1, 1), (4, 3)])
def test_stride_and_margin_are_measured(tmp_path: Path, stride: int, units: int) -> None:
    network = make_map_network(stride, units=units)
    done = imported(onnx_file(network, tmp_path / "net.onnx"), tmp_path)
    about = done.package.description
    assert about.map is not None
    assert about.architecture.kind == "graph"
    assert about.map.stride_px == stride
    # That of the test's own package is no less than needed.
    assert 0 < about.map.margin_px <= MAP_MARGIN[stride]
    assert any("sees padding" in one for one in done.told)
    # The middle of a large image, alone and with its surroundings.
    large = colour_patches(1, 3 * _SIDE, seed=8)
    margin = about.map.margin_px
    alone = large[:, _SIDE : 2 * _SIDE, _SIDE : 2 * _SIDE]
    predictor = load_predictor(
        done.package, RuntimeRequest("cpu", "auto", tmp_path / "cache"), threshold=0.5
    )
    try:
        found = predict_all(predictor, np.ascontiguousarray(alone))
    finally:
        predictor.close()
    whole = answer_map(network, about, large, margin=False)
    first, last = (_SIDE + margin) // stride, (2 * _SIDE - margin) // stride
    expected = whole[..., first:last, first:last]
    assert found.shape == expected.shape == (1, *about.answer)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def test_a_network_of_one_size_needs_the_margin(tmp_path: Path) -> None:
    path = onnx_file(make_map_network(4), tmp_path / "net.onnx", fixed=True)
    with pytest.raises(ImportRefusedError, match="images of 128 px only; pass --margin"):
        imported(path, tmp_path)
    with pytest.raises(ImportRefusedError, match="no multiple of 20 px"):
        imported(path, tmp_path, margin=16, pool=5)
    about = imported(path, tmp_path, margin=16, pool=2).package.description
    assert about.map is not None
    assert (about.map.stride_px, about.map.margin_px, about.map.pool) == (4, 16, 2)
    assert about.answer == (12, 12)


class _WholeImage(torch.nn.Module):
    """Normalises by the image's own statistics, as group normalisation does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make_map_network(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.inner(x)
        return (y - y.mean((2, 3), keepdim=True)) * 3


def test_a_network_that_looks_at_the_whole_image_is_told_of(tmp_path: Path) -> None:
    path = onnx_file(_WholeImage(), tmp_path / "net.onnx")
    with pytest.raises(ImportRefusedError, match=r"depend on all of the image.*Pass --margin"):
        imported(path, tmp_path)
    told = imported(path, tmp_path, margin=8).told
    assert any("8 px from the edge its answers still change" in one for one in told)


def test_a_network_without_padding_answers_for_the_middle(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 9), torch.nn.Tanh(), torch.nn.Conv2d(4, 1, 5)
    ).eval()
    path = onnx_file(network, tmp_path / "net.onnx")
    with pytest.raises(ImportRefusedError, match="a map of 116; pass --stride"):
        imported(path, tmp_path)
    about = imported(path, tmp_path, stride=1).package.description
    assert about.map is not None
    assert about.map.margin_px == 6
    assert about.answer == (116, 116)


def test_where_openvino_is_not_near_the_file_itself_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_map_network(4, units=3)
    path = onnx_file(network, tmp_path / "net.onnx")
    # Nothing is as near as this but the source's own runtime.
    monkeypatch.setattr(importer, "_FP32", 1e-12)
    done = imported(path, tmp_path)
    about = done.package.description
    assert (about.architecture.kind, done.difference) == ("onnx", 0)
    assert dict(about.tolerance) == {"fp32": 1e-12}
    assert any("onnxruntime" in one and "computes it" in one for one in done.told)
    predictor = load_predictor(
        done.package, RuntimeRequest("auto", "auto", tmp_path / "cache"), threshold=0.5
    )
    assert predictor.info.kind == "onnxruntime/cpu/fp32"
    patches = colour_patches(3, _SIDE, seed=9)
    expected = answer_map(network, about, patches)
    np.testing.assert_allclose(predict_all(predictor, patches), expected, rtol=0, atol=1e-4)
    predictor.close()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["TorchScript", "OpenVINO graph"])
def test_other_forms(tmp_path: Path, form: str) -> None:
    network = make_map_network(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 3, _SIDE, _SIDE)
        if form == "TorchScript":
            path = tmp_path / "net.pt"
            torch.jit.trace(network, example).save(path)  # type: ignore[no-untyped-call]  # torch types it not
        else:
            path = tmp_path / "net.xml"
            ov.save_model(ov.convert_model(network, example_input=example), path)
    try:
        done = imported(path, tmp_path, trust=True)
    except ImportRefusedError as error:
        if "cannot take network and write access" not in error.cause:
            raise
        pytest.skip(f"this machine cannot confine a process: {error.cause}")
    assert done.form == form
    assert done.package.description.answer[0] > 20
