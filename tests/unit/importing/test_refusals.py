"""What cannot be imported is refused in one line that names the file; hostile files do nothing."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_models_support as foreign
import numpy as np
import pytest
import safetensors.torch
import torch
from foreign_models_support import SIDE, of_timm, small

from wsi_pipeline.importing import torchscript
from wsi_pipeline.importing.confined_call import NotConfinedError
from wsi_pipeline.importing.importer import import_model
from wsi_pipeline.importing.recognise import read_source
from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest
from wsi_pipeline.testing.models import colour_patches

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

_SAID: dict[str, Any] = {"mpp": 0.5, "mean": foreign.MEAN, "std": foreign.STD, "patch_px": SIDE}


def refused(path: Path, tmp_path: Path, **said: Any) -> str:
    """Why it is; that nothing is left of it, and that it is one line."""
    np.savez(tmp_path / "patches.npz", patches=colour_patches(16, said.get("patch_px") or SIDE))
    request = ImportRequest("mine", reference=tmp_path / "patches.npz", int8=False, **said)
    with pytest.raises(ImportRefusedError) as caught:
        import_model(path, request, tmp_path / "models" / "mine", tmp_path / "cache")
    assert not list((tmp_path / "models").glob("*")) if (tmp_path / "models").exists() else True
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_files_that_are_no_models(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no config.json and 0 models" in refused(empty, tmp_path)
    text = _bytes(tmp_path / "notes.txt", b"hello")
    assert "no model in a form known here" in refused(text, tmp_path)
    assert "cannot be read: No such file" in refused(tmp_path / "missing.onnx", tmp_path)
    assert "no ONNX file" in refused(_bytes(tmp_path / "a.onnx", b"\x08\x07junk"), tmp_path)
    assert "damaged" in refused(_bytes(tmp_path / "a.pt", b"PK\x03\x04junk"), tmp_path)
    graph = _bytes(tmp_path / "a.xml", b'<?xml version="1.0"?><net name="x"></net>')
    assert "OpenVINO cannot read it" in refused(graph, tmp_path, **_SAID)
    (empty / "config.json").write_text('{"model_type": "vit"}')
    assert "neither WSInfer's" in refused(empty, tmp_path)
    (empty / "config.json").write_text("{")
    assert "config.json: cannot be read" in refused(empty, tmp_path)


def test_truncated_files(tmp_path: Path) -> None:
    said: Any = {**_SAID, "architecture": foreign.NAME, "trust": True}
    state = of_timm(2).state_dict()
    safetensors.torch.save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    foreign.onnx(small(2), tmp_path / "a.onnx")
    foreign.ir(small(2), tmp_path / "a.xml")
    foreign.torchscript(small(2), tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pth", "a.onnx", "a.bin", "a.pt"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        source = path if name != "a.bin" else tmp_path / "a.xml"
        assert refused(source, tmp_path, **said).startswith(str(source))


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"class_names": ["a"]}, "says 2 classes and names 1"),
        ({"class_names": None}, "class_names: Input should be a valid list"),
        ({"spacing_um_px": 0}, "spacing_um_px: Input should be greater than 0"),
        ({"transform": [{"name": "Rotate"}]}, "transform.0.name"),
        ({"transform": [{"name": "ToTensor"}, {"name": "Resize"}]}, "size: Field required"),
        (
            {
                "transform": [
                    {"name": "Resize", "arguments": {"size": [64, 32]}},
                    {"name": "ToTensor"},
                ]
            },
            "no square",
        ),
        (
            {"transform": [{"name": "Normalize", "arguments": {"mean": [1], "std": [1]}}]},
            "mean",
        ),
    ],
)
def test_configurations_of_wsinfer(tmp_path: Path, changed: dict[str, Any], cause: str) -> None:
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(foreign.wsinfer_config(**changed)))
    message = refused(folder, tmp_path)
    assert cause in message
    assert str(folder / "config.json") in message
    (folder / "config.json").write_text(json.dumps(foreign.wsinfer_config()))
    assert "holds no torchscript_model.pt" in refused(folder, tmp_path)


#: What the zoo's models state (classes, patch, spacing), by their reference outputs' columns.
_ZOO: list[tuple[tuple[str, ...], int, float, int]] = [
    (("Other", "Tumor"), 350, 0.25, 224),
    (("Lepidic", "Benign", "Acinar", "Micropapillary", "Mucinous", "Solid"), 350, 0.5, 224),
    (("Other", "Lymphocytes"), 100, 0.5, 299),
    (("Tumor",), 350, 1.5, 224),
    (("Grade3", "Grade4or5", "Benign"), 175, 0.5, 224),
]


@pytest.mark.parametrize(("classes", "patch", "spacing", "side"), _ZOO)
def test_configurations_of_the_zoo(
    tmp_path: Path, classes: tuple[str, ...], patch: int, spacing: float, side: int
) -> None:
    changed: dict[str, Any] = {
        "class_names": classes,
        "num_classes": len(classes),
        "patch_size_pixels": patch,
        "spacing_um_px": spacing,
        "transform": [
            {"name": "Resize", "arguments": {"size": side}},
            {"name": "ToTensor"},
            {"name": "Normalize", "arguments": {"mean": [0.7, 0.5, 0.6], "std": [0.2, 0.2, 0.2]}},
        ],
    }
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(foreign.wsinfer_config(**changed)))
    (folder / "torchscript_model.pt").write_bytes(b"PK")
    source = read_source(folder, ImportRequest("mine", trust=True))
    assert (source.classes, source.patch_px, source.mpp) == (classes, patch, spacing)
    assert source.preprocessing.side(patch) == side


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({}, "pass --architecture"),
        ({"architecture": "nonsense"}, "there is no network 'nonsense'"),
        ({"architecture": "timm/nonsense"}, "there is no network 'timm/nonsense'"),
        ({"architecture": "resnet18"}, "are not the weights of"),
        ({"architecture": "vit_tiny_patch16_224"}, "holds no last layer of timm's"),
        ({"architecture": "mobilenet_v2"}, "are not the weights of mobilenet_v2"),
        ({"architecture": foreign.NAME, "mpp": None}, "pass --mpp"),
        (
            {"architecture": foreign.NAME, "classes": ("a", "b", "c")},
            "answers with 2 numbers and 3",
        ),
        ({"architecture": foreign.NAME, "classes": ("a", "a")}, "two classes have the same name"),
        ({"architecture": foreign.NAME, "positive": "b"}, "has no class 'b'"),
        ({"architecture": foreign.NAME, "head": "none"}, "these are no probabilities"),
    ],
)
def test_checkpoints(tmp_path: Path, said: dict[str, Any], cause: str) -> None:
    path = tmp_path / "best.safetensors"
    safetensors.torch.save_file(of_timm(2).state_dict(), path)
    message = refused(path, tmp_path, **{**_SAID, **said})
    assert cause in message
    assert str(path) in message


class _Dense(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1, keepdim=True)


class _Nan(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x.mean((2, 3)) * 0 - 1)


@pytest.mark.parametrize(
    ("module", "said", "cause"),
    [
        (_Dense(), {}, "answers with a map and takes images of 64 px only; pass --margin"),
        (_Nan(), {}, "not finite"),
        (small(3), {"classes": ("a", "b")}, "answers with 3 numbers and 2 classes are named"),
        (small(3), {"resize": False, "patch_px": 80}, "onnxruntime cannot run it"),
        (small(1), {"positive": "normal", "classes": ("normal", "tumour")}, "its one number is"),
    ],
)
def test_networks(tmp_path: Path, module: Any, said: dict[str, Any], cause: str) -> None:
    path = foreign.onnx(module, tmp_path / "net.onnx")
    assert cause in refused(path, tmp_path, **{**_SAID, **said})


def test_onnx_of_half_precision_and_with_data_elsewhere(tmp_path: Path) -> None:
    import onnx

    path = foreign.onnx(small(2), tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "half.onnx")
    assert "onnxruntime cannot load it" in refused(tmp_path / "half.onnx", tmp_path, **_SAID)
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    (tmp_path / "net.data").rename(tmp_path / "secret")
    assert "'net.data', which is not a file of its folder" in refused(path, tmp_path, **_SAID)
    (tmp_path / "net.data").symlink_to(tmp_path.parent)
    assert "not a file of its folder" in refused(path, tmp_path, **_SAID)


class _Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("trust", [False, True])
def test_a_pickle_with_a_payload_runs_nothing(tmp_path: Path, trust: bool) -> None:
    ran, hub = tmp_path / "ran", foreign.hub_folder(of_timm(3), tmp_path / "hub")
    torch.save({"x": _Payload(ran)}, tmp_path / "new.pt")
    torch.save({"x": _Payload(ran)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Payload(ran)))
    (hub / "model.safetensors").unlink()
    torch.save({"x": _Payload(ran)}, hub / "pytorch_model.bin")
    cause = "nothing of it was run" if trust else "can run code when it is loaded.*--trust"
    for path in (tmp_path / "new.pt", tmp_path / "old.pth", tmp_path / "plain.pt", hub):
        said = {**_SAID, "architecture": foreign.NAME, "trust": trust}
        assert re.search(cause, refused(path, tmp_path, **said)), path
    assert not ran.exists()


class _Writes(torch.nn.Module):
    """Writes where its input is bright, which no look at the file tells."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool((x.max() > -100).item()):
            torch.save(x, self.path)
        return x.mean((2, 3))


class _WritesWhenLoaded(torch.nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.zeros(2), self.path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class _Reads(torch.nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        secret = torch.from_file(self.path, False, 4, dtype=torch.uint8)
        return x.mean((2, 3)) + secret[:3]


def scripted(module: torch.nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(path)  # type: ignore[no-untyped-call]  # torch types it not
    return path


@pytest.mark.usefixtures("confined")
@pytest.mark.parametrize("make", [_Writes, pytest.param(_WritesWhenLoaded, marks=pytest.mark.slow)])
def test_a_torchscript_that_writes_writes_nothing_and_is_named(
    tmp_path: Path, make: Callable[[str], torch.nn.Module]
) -> None:
    written = tmp_path / "written.pt"
    path = scripted(make(str(written)), tmp_path / "hostile.pt")
    written.unlink(missing_ok=True)
    assert "--trust" in refused(path, tmp_path, **_SAID)
    message = refused(path, tmp_path, **_SAID, trust=True)
    assert f"{path}: TorchScript: it tried to write {written}, which was denied" in message
    assert not written.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("confined")
def test_a_torchscript_that_reads_a_file_of_the_users_gets_nothing(tmp_path: Path) -> None:
    secret = _bytes(tmp_path / "secret", b"keep")
    path = scripted(_Reads(str(secret)), tmp_path / "hostile.pt")
    message = refused(path, tmp_path, **_SAID, trust=True)
    assert f"unable to open file <{secret}>" in message


def test_where_nothing_can_be_confined_torchscript_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise NotConfinedError("Landlock is not there (Linux 5.13 or newer has it)")

    monkeypatch.setattr(torchscript, "call_confined", unable)
    path = foreign.torchscript(small(2), tmp_path / "net.pt")
    message = refused(path, tmp_path, **_SAID, trust=True)
    assert "cannot take network and write access from it (Landlock is not there" in message
    assert "import it on another machine" in message


@pytest.mark.slow
@pytest.mark.usefixtures("confined")
def test_torchscript_that_does_not_fit(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    path = scripted(module, tmp_path / "net.pt")
    assert "it was given 64 px" in refused(path, tmp_path, **_SAID, trust=True)


def test_an_existing_package_is_left_alone(tmp_path: Path) -> None:
    path, folder = foreign.onnx(small(2), tmp_path / "net.onnx"), tmp_path / "mine"
    folder.mkdir()
    (folder / "model.yaml").write_text("mine")
    np.savez(tmp_path / "patches.npz", patches=colour_patches(16, SIDE))
    request = ImportRequest("mine", reference=tmp_path / "patches.npz", int8=False, **_SAID)
    with pytest.raises(ImportRefusedError, match="already exists; pass --overwrite"):
        import_model(path, request, folder, tmp_path / "cache")
    broken = foreign.onnx(_Nan(), tmp_path / "nan.onnx")
    with pytest.raises(ImportRefusedError, match="not finite"):
        import_model(broken, request, folder, tmp_path / "cache", overwrite=True)
    assert (folder / "model.yaml").read_text() == "mine"
    assert [one.name for one in tmp_path.glob(".*")] == []
