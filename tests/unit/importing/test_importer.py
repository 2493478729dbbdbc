"""Every source form, made here small, answers as a package what its own runtime answers."""

import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from wsi_pipeline.importing.importer import import_model
from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest, load_predictor
from wsi_pipeline.testing.models import colour_patches

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

_SIDE, _NAME = 64, "resnet10t"
_MEAN, _STD = (0.7, 0.5, 0.6), (0.2, 0.25, 0.22)
_WSINFER = {
    "spec_version": "1.0",
    "architecture": _NAME,
    "num_classes": 2,
    "class_names": ["Tumor", "Other"],
    "patch_size_pixels": 80,
    "spacing_um_px": 0.5,
    "transform": [
        {"name": "Resize", "arguments": {"size": _SIDE}},
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": _MEAN, "std": _STD}},
    ],
}


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where the kernel denies what confines TorchScript; importing it is refused there."""
    folder = tmp_path_factory.mktemp("confined")
    program = "import sys, pathlib; from wsi_pipeline.importing.confinement import confine; "
    program += "confine(pathlib.Path(sys.argv[1]), [], memory=2**40, file_bytes=2**20)"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "UnavailableError" in done.stderr:
        pytest.skip(f"this machine cannot confine a process: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def network(units: int, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    made: torch.nn.Module = timm.create_model(_NAME, num_classes=units)
    torch.nn.init.normal_(made.fc.weight, std=0.3)  # type: ignore[arg-type, union-attr]  # torch types it not
    return made.eval()


def traced(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(2, 3, _SIDE, _SIDE)).save(path)  # type: ignore[no-untyped-call]  # torch types it not
    return path


def reference(folder: Path, side: int) -> Path:
    path = folder / "patches.npz"
    np.savez(path, patches=colour_patches(16, side))
    return path


def imported(path: Path, tmp_path: Path, side: int = _SIDE, **said: Any) -> ModelPackage:
    request = ImportRequest("mine", reference=reference(tmp_path, side), int8=False, **said)
    return import_model(path, request, tmp_path / "package", tmp_path / "cache").package


def answers(package: ModelPackage, patches: NDArray[np.uint8], cache: Path) -> Any:
    predictor = load_predictor(package, RuntimeRequest("cpu", "fp32", cache), threshold=0.5)
    try:
        return predict_all(predictor, patches)
    finally:
        predictor.close()


def truth(module: torch.nn.Module, patches: NDArray[np.uint8], steps: Any) -> NDArray[Any]:
    with torch.inference_mode():
        logits = module(torch.stack([steps(Image.fromarray(one)) for one in patches]))
        return torch.softmax(logits, 1).numpy()


def steps(*first: Any) -> Any:
    last = (transforms.ToTensor(), transforms.Normalize(_MEAN, _STD))
    return transforms.Compose([*first, *last])


@pytest.mark.slow
@pytest.mark.usefixtures("confined")
def test_wsinfer_folder(tmp_path: Path) -> None:
    folder, module = tmp_path / "zoo", network(2)
    folder.mkdir()
    traced(module, folder / "torchscript_model.pt")
    (folder / "config.json").write_text(json.dumps(_WSINFER))
    (folder / "README.md").write_text("---\nlicense: bsd-3-clause\n---\nA card.\n")
    with pytest.raises(ImportRefusedError, match="--trust"):
        imported(folder, tmp_path, 80)
    package = imported(folder, tmp_path, 80, trust=True)
    about = package.description
    assert (about.positive, about.licence, about.mpp) == ("Tumor", "bsd-3-clause", 0.5)
    assert "README.md" in about.files
    patches = colour_patches(11, 80, seed=5)
    expected = truth(module, patches, steps(transforms.Resize(_SIDE)))[:, 0]
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(answers(package, patches, tmp_path), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_hugging_face_folder(tmp_path: Path) -> None:
    folder, module = tmp_path / "hub", network(3)
    folder.mkdir()
    safetensors.torch.save_model(module, str(folder / "model.safetensors"))
    cfg: dict[str, Any] = {
        "input_size": [3, _SIDE, _SIDE],
        "mean": _MEAN,
        "std": _STD,
        "interpolation": "bicubic",
        "crop_pct": 0.9,
    }
    facts = {"architecture": _NAME, "label_names": ["a", "tumour", "c"], "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(facts))
    package = imported(folder, tmp_path, mpp=0.5)
    assert package.description.architecture.name == f"timm/{_NAME}"
    patches = colour_patches(5, _SIDE, seed=5)
    usual: Any = timm.data
    prepare = usual.create_transform(**{**cfg, "input_size": (3, _SIDE, _SIDE)})
    expected = truth(module, patches, prepare)
    np.testing.assert_allclose(answers(package, patches, tmp_path), expected, rtol=0, atol=1e-4)


def _onnx(module: torch.nn.Module, tmp_path: Path) -> Path:
    path, axes = tmp_path / "net.onnx", {"x": {0: "n"}, "y": {0: "n"}}
    given = torch.zeros(2, 3, _SIDE, _SIDE)
    names: Any = {"input_names": ["x"], "output_names": ["y"]}
    torch.onnx.export(module, (given,), path, dynamo=False, dynamic_axes=axes, **names)
    return path


def _ir(module: torch.nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "net.xml"
    model = ov.convert_model(module, example_input=torch.zeros(2, 3, _SIDE, _SIDE))
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def _torchscript(module: torch.nn.Module, tmp_path: Path) -> Path:
    return traced(module, tmp_path / "net.pt")


@pytest.mark.slow
@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("make", [_onnx, _ir, _torchscript])
def test_bare_networks(make: Callable[[torch.nn.Module, Path], Path], tmp_path: Path) -> None:
    module = network(3)
    said: Any = {"mpp": 0.5, "mean": _MEAN, "std": _STD, "trust": True, "patch_px": _SIDE}
    package = imported(make(module, tmp_path), tmp_path, **said)
    assert package.description.task == "multiclass"
    patches = colour_patches(5, _SIDE, seed=5)
    expected = truth(module, patches, steps())
    np.testing.assert_allclose(answers(package, patches, tmp_path), expected, rtol=0, atol=1e-4)


class _Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_with_a_payload_runs_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for name, protocol in (("new.pt", None), ("plain.pt", 2)):
        path = tmp_path / name
        if protocol is None:
            torch.save({"x": _Payload(ran)}, path)
        else:
            path.write_bytes(pickle.dumps(_Payload(ran), protocol))
        with pytest.raises(ImportRefusedError, match="nothing of it was run"):
            imported(path, tmp_path, architecture=_NAME, mpp=0.5, trust=True)
        assert not ran.exists()


class _Writes(torch.nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.path)
        return x.mean((2, 3))


@pytest.mark.usefixtures("confined")
def test_a_torchscript_that_writes_writes_nothing_and_is_named(tmp_path: Path) -> None:
    written = tmp_path / "written.pt"
    path = tmp_path / "hostile.pt"
    torch.jit.script(_Writes(str(written))).save(path)  # type: ignore[no-untyped-call]  # torch types it not
    said: Any = {"mpp": 0.5, "trust": True, "patch_px": _SIDE}
    with pytest.raises(ImportRefusedError, match=f"hostile.pt.*tried to write {written}"):
        imported(path, tmp_path, **said)
    assert not written.exists()
    assert not (tmp_path / "package").exists()
