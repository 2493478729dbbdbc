"""Every source form, made here small, answers as a package what its own program answers."""

from pathlib import Path
from typing import Any

import foreign_models_support as foreign
import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import torchvision
from foreign_models_support import SIDE, answers, of_timm, small, steps
from numpy.typing import NDArray
from torchvision import transforms

from wsi_pipeline.importing.importer import Imported, import_model
from wsi_pipeline.importing.source import ImportRequest
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing.models import colour_patches

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

_SAID: dict[str, Any] = {"mpp": 0.5, "mean": foreign.MEAN, "std": foreign.STD, "patch_px": SIDE}


def imported(path: Path, tmp_path: Path, side: int = SIDE, **said: Any) -> Imported:
    np.savez(tmp_path / "patches.npz", patches=colour_patches(16, side))
    request = ImportRequest("mine", reference=tmp_path / "patches.npz", int8=False, **said)
    return import_model(path, request, tmp_path / "package", tmp_path / "cache")


def probabilities(package: ModelPackage, patches: NDArray[np.uint8], cache: Path) -> Any:
    request = RuntimeRequest("cpu", "fp32", cache / "cache")
    predictor = load_predictor(package, request, threshold=0.5)
    try:
        return predict_all(predictor, patches)
    finally:
        predictor.close()


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    return torch.softmax(torch.from_numpy(logits), 1).numpy()


def assert_same(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert np.ptp(expected) > 0.02, "the network answers the same whatever it is given"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("external", [False, True], ids=["one file", "data beside it"])
def test_onnx(tmp_path: Path, external: bool) -> None:
    module, path = small(3), tmp_path / "net.onnx"
    foreign.onnx(module, path)
    if external:
        onnx.save_model(
            onnx.load(path), path, save_as_external_data=True, location="net.data", size_threshold=0
        )
        assert (tmp_path / "net.data").stat().st_size > 0
    done = imported(path, tmp_path, **_SAID)
    about = done.package.description
    assert (about.task, about.activation, about.architecture.name) == (
        *("multiclass", "softmax", "graph"),
    )
    assert about.licence == "unknown: its source states none"
    assert any("licence" in told for told in done.told)
    patches = colour_patches(6, SIDE, seed=5)
    expected = softmax(answers(module, patches, steps()))
    assert_same(probabilities(done.package, patches, tmp_path), expected)


@pytest.mark.parametrize(
    ("units", "last", "said", "kind"),
    [
        (1, None, {}, ("binary", "sigmoid")),
        (1, torch.nn.Sigmoid(), {}, ("binary", "none")),
        (2, None, {"classes": ("other", "tumour")}, ("binary", "softmax")),
        (2, None, {"classes": ("tumour", "other")}, ("binary", "softmax")),
        (3, torch.nn.Softmax(1), {}, ("multiclass", "none")),
        (
            3,
            torch.nn.Sigmoid(),
            {"head": "none", "classes": ("a", "b", "c")},
            ("multiclass", "none"),
        ),
        (3, None, {"head": "sigmoid"}, ("multilabel", "sigmoid")),
    ],
)
def test_heads(
    tmp_path: Path, units: int, last: Any, said: dict[str, Any], kind: tuple[str, str]
) -> None:
    module = small(units, last)
    package = imported(foreign.ir(module, tmp_path / "net.xml"), tmp_path, **_SAID, **said).package
    about = package.description
    assert (about.task, about.activation) == kind
    patches = colour_patches(5, SIDE, seed=5)
    expected = answers(module, patches, steps())
    if kind[1] == "sigmoid":
        expected = torch.sigmoid(torch.from_numpy(expected)).numpy()
    if kind[1] == "softmax":
        expected = softmax(expected)
    if kind[0] == "binary":
        expected = expected[:, 0 if units == 1 else said["classes"].index("tumour")]
        assert about.positive == "tumour"
    assert_same(probabilities(package, patches, tmp_path), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("confined")
def test_wsinfer_folder(tmp_path: Path) -> None:
    module = small(2)
    folder = foreign.wsinfer_folder(module, tmp_path / "zoo")
    done = imported(folder, tmp_path, 80, trust=True)
    about = done.package.description
    assert (about.positive, about.licence, about.mpp) == ("Tumor", "bsd-3-clause", 0.5)
    assert (tmp_path / "package" / "README.md").read_text().endswith("A card.\n")
    assert "README.md" in about.files
    # Never again: what is kept is a graph.
    assert sorted(about.files) == ["README.md", "network.bin", "network.xml", "reference.npz"]
    patches = colour_patches(11, 80, seed=5)
    expected = softmax(answers(module, patches, steps(transforms.Resize(SIDE))))[:, 1]
    assert_same(probabilities(done.package, patches, tmp_path), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("confined")
def test_torchscript_of_half_precision_is_computed_in_fp32(tmp_path: Path) -> None:
    module = small(3).half()
    path = foreign.torchscript(module.float(), tmp_path / "net.pt")
    half = torch.jit.load(path).half()  # type: ignore[no-untyped-call]  # torch types it not
    half.save(path)
    package = imported(path, tmp_path, trust=True, **_SAID).package
    patches = colour_patches(5, SIDE, seed=5)
    expected = softmax(answers(module, patches, steps()))
    assert_same(probabilities(package, patches, tmp_path), expected)


@pytest.mark.slow
def test_hugging_face_folder(tmp_path: Path) -> None:
    module = of_timm(3)
    package = imported(foreign.hub_folder(module, tmp_path / "hub"), tmp_path, mpp=0.5).package
    about = package.description
    assert about.architecture.name == f"timm/{foreign.NAME}"
    assert (about.positive, about.licence) == ("tumour", "cc-by-4.0")
    patches = colour_patches(5, SIDE, seed=5)
    prepare = foreign.timm_steps(foreign.hub_configuration())
    assert_same(
        probabilities(package, patches, tmp_path), softmax(answers(module, patches, prepare))
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", ["safetensors", "pth", "half", "wrapped"])
def test_timm_checkpoint(tmp_path: Path, form: str) -> None:
    module, path = of_timm(2), tmp_path / "best.pth"
    if form == "half":
        module = module.half().float()
    state = module.state_dict()
    if form == "safetensors":
        path = tmp_path / "best.safetensors"
        safetensors.torch.save_file(state, path)
    elif form == "wrapped":
        prefixed = {f"module.{key}": one for key, one in state.items()}
        torch.save({"epoch": 3, "state_dict": prefixed}, path)
    else:
        torch.save(module.half().state_dict() if form == "half" else state, path)
    module = module.float()
    done = imported(path, tmp_path, 160, architecture=foreign.NAME, mpp=0.5, trust=True)
    assert any("--no-resize" in told for told in done.told)
    patches = colour_patches(5, 160, seed=5)
    prepare = foreign.usual_steps(module)
    expected = softmax(answers(module, patches, prepare))[:, 1]
    assert_same(probabilities(done.package, patches, tmp_path), expected)


@pytest.mark.slow
def test_patches_are_given_as_they_are_cut_where_that_is_asked(tmp_path: Path) -> None:
    module, path = of_timm(2), tmp_path / "best.safetensors"
    safetensors.torch.save_file(module.state_dict(), path)
    said: Any = {**_SAID, "architecture": foreign.NAME, "resize": False}
    package = imported(path, tmp_path, **said).package
    patches = colour_patches(5, SIDE, seed=5)
    expected = softmax(answers(module, patches, steps()))[:, 1]
    assert_same(probabilities(package, patches, tmp_path), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5"])
def test_torchvision_checkpoint(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    module = torchvision.models.get_model(name, weights=None, num_classes=3)
    for one in module.modules():
        if isinstance(one, torch.nn.BatchNorm2d):
            one.momentum = 1.0  # statistics of its own, else the depth leaves nothing of an image
    with torch.no_grad():
        module.train()(torch.randn(8, 3, 96, 96))
    module.eval()
    last = [one for one in module.modules() if isinstance(one, torch.nn.Linear)][-1]
    torch.nn.init.normal_(last.weight, std=0.3)
    path = tmp_path / "best.safetensors"
    safetensors.torch.save_file(module.state_dict(), path)
    said: Any = {**_SAID, "architecture": f"torchvision/{name}", "patch_px": 224}
    package = imported(path, tmp_path, 224, **said).package
    patches = colour_patches(3, 224, seed=5)
    usual = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    how = transforms.InterpolationMode(usual.interpolation.value)
    prepare = steps(
        transforms.Resize(usual.resize_size, how), transforms.CenterCrop(usual.crop_size)
    )
    expected = softmax(answers(module, patches, prepare))
    found = probabilities(package, patches, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert len(np.unique(expected)) > 3


def test_what_was_converted_to_measure_it_serves_the_first_analysis(tmp_path: Path) -> None:
    package = imported(foreign.onnx(small(1), tmp_path / "net.onnx"), tmp_path, **_SAID).package
    folders = list((tmp_path / "cache" / "openvino").glob(f"{package.sha256[:16]}*"))
    assert [sorted(one.name for one in folder.glob("fp32-*.xml")) for folder in folders] == [
        ["fp32-4.xml"]  # with the batch size of the analysis
    ]
