"""Making packages of weights: what fits is written whole, what does not is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import yaml
from PIL import Image
from torchvision import transforms

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.conversion import convert_here
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.package_writer import pack
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing.models import colour_patches

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def parts(kinds_package: ModelPackage, tmp_path: Path) -> Path:
    """What somebody has: a description without hashes, weights, patches."""
    return taken_apart(kinds_package, tmp_path / "parts")


def taken_apart(package: ModelPackage, folder: Path) -> Path:
    folder.mkdir()
    stated = yaml.safe_load((package.folder / "model.yaml").read_text())
    del stated["files"], stated["tolerance"]
    (folder / "model.yaml").write_text(yaml.safe_dump(stated))
    shutil.copy(package.weights, folder / "weights.safetensors")
    shutil.copy(package.folder / "reference.npz", folder / "reference.npz")
    return folder


def packed(parts: Path, out: Path, **options: Any) -> ModelPackage:
    weights = options.pop("weights", parts / "weights.safetensors")
    patches = options.pop("patches", parts / "reference.npz")
    return pack(parts / "model.yaml", weights, patches, out, **options)


def test_the_parts_become_the_package_they_came_from(
    parts: Path, kinds_package: ModelPackage, tmp_path: Path
) -> None:
    made = packed(parts, tmp_path / "out", calibration=parts / "reference.npz")
    assert load_package(tmp_path / "out") == made
    patches, probabilities = made.reference()
    expected, stated = kinds_package.reference()
    np.testing.assert_array_equal(patches, expected)
    np.testing.assert_allclose(probabilities, stated, atol=1e-5)
    assert set(made.description.files) == {
        "weights.safetensors",
        "reference.npz",
        "calibration.npz",
    }
    assert "fp32" in made.description.tolerance
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "parts"]


def test_a_state_dict_and_a_folder_of_images_will_do(package: ModelPackage, tmp_path: Path) -> None:
    parts = taken_apart(package, tmp_path / "parts")
    tensors = safetensors.torch.load_file(parts / "weights.safetensors")
    wrapped = {f"module.{name}": tensor for name, tensor in tensors.items()}
    auxiliary = {"module.AuxLogits.fc.weight": torch.zeros(1, 768)}
    torch.save({"state_dict": {**wrapped, **auxiliary}}, parts / "best.pt")
    images = parts / "patches"
    images.mkdir()
    for index, patch in enumerate(package.reference()[0]):
        Image.fromarray(patch).save(images / f"{index:02}.png")
    made = packed(parts, tmp_path / "out", weights=parts / "best.pt", patches=images)
    np.testing.assert_allclose(made.reference()[1], package.reference()[1], atol=1e-5)


def test_a_pickle_that_runs_code_is_refused(parts: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"fc.weight": Hostile()}, parts / "bad.pt")
    with pytest.raises(PackageError, match="no state dict"):
        packed(parts, tmp_path / "out", weights=parts / "bad.pt")
    assert not (tmp_path / "ran").exists()


def _drop(tensors: dict[str, Any]) -> None:
    del tensors["fc.weight"]


def _add(tensors: dict[str, Any]) -> None:
    tensors["more"] = torch.zeros(1)


def _bend(tensors: dict[str, Any]) -> None:
    tensors["fc.weight"] = torch.zeros(2, 64)


def _spoil(tensors: dict[str, Any]) -> None:
    tensors["fc.bias"] = torch.full((4,), float("nan"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop, r"lacks fc\.weight; are the weights of this architecture"),
        (_add, "also has more"),
        (_bend, r"fc\.weight is \(2, 64\), not \(4, 64\)"),
        (_spoil, r"fc\.bias holds values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    parts: Path, tmp_path: Path, change: Change, said: str
) -> None:
    tensors = safetensors.torch.load_file(parts / "weights.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, parts / "changed.safetensors")
    with pytest.raises(PackageError, match=said):
        packed(parts, tmp_path / "out", weights=parts / "changed.safetensors")
    assert not (tmp_path / "out").exists()


def test_probabilities_that_the_weights_do_not_give_are_refused(
    parts: Path, tmp_path: Path
) -> None:
    with np.load(parts / "reference.npz") as data:
        patches, probabilities = data["patches"], data["probabilities"]
    np.savez(parts / "reference.npz", patches=patches, probabilities=1 - probabilities)
    with pytest.raises(PackageError, match="away from those of the weights; are weights"):
        packed(parts, tmp_path / "out")


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        (colour_patches(4, 64), "holds 4 patches"),
        (colour_patches(16, 96), "not uint8 of 64"),
        (colour_patches(16, 64).astype(np.float32), "not uint8 of 64"),
    ],
)
def test_patches_that_do_not_fit_are_refused(
    parts: Path, tmp_path: Path, patches: Any, said: str
) -> None:
    np.savez(parts / "p.npz", patches=patches)
    with pytest.raises(PackageError, match=said):
        packed(parts, tmp_path / "out", patches=parts / "p.npz")


@pytest.mark.parametrize(
    ("text", "said"),
    [("[1, 2]", "is no description"), ("{", "cannot be read"), ("name: x", "Field required")],
)
def test_a_description_that_says_too_little_is_refused(
    parts: Path, tmp_path: Path, text: str, said: str
) -> None:
    (parts / "model.yaml").write_text(text)
    with pytest.raises(PackageError, match=said):
        packed(parts, tmp_path / "out")


def test_a_package_is_replaced_only_when_asked_and_when_the_new_one_is_whole(
    parts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = packed(parts, out)
    with pytest.raises(PackageError, match="already exists"):
        packed(parts, out)
    (parts / "reference.npz").write_bytes(b"x")
    with pytest.raises(PackageError, match="no patches that can be read"):
        packed(parts, out, overwrite=True)
    assert load_package(out) == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "parts"]


def test_the_verb_takes_a_folder_of_parts(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wsi_pipeline import cli

    def wsi(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["wsi", "models", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setenv("WSI_MODELS_DIR", str(models))
    code, out, _ = wsi("list")
    assert code == 0
    assert "no packages in" in out
    code, out, _ = wsi("pack", parts, "-o", models / "mine", "--json")
    assert code == 0
    sha256 = json.loads(out)["sha256"]
    code, out, _ = wsi("list", "--json")
    (listed,) = json.loads(out)["packages"]
    assert code == 0
    assert (listed["installed_as"], listed["sha256"]) == ("mine", sha256)
    assert wsi("list")[0] == 0
    assert wsi("card", "mine", "-o", tmp_path / "card.html")[0] == 0
    assert sha256 in (tmp_path / "card.html").read_text()
    assert wsi("card", "mine", "-o", tmp_path / "card.html")[0] == 2
    assert wsi("pack", parts / "model.yaml", "-o", tmp_path / "x")[0] == 2
    (models / "mine" / "weights.safetensors").write_bytes(b"altered")
    code, _, err = wsi("list")
    assert code == 3
    assert "weights.safetensors was altered" in err


@pytest.mark.parametrize("head", ["softmax", "none"])
def test_a_network_of_timms_with_classes_and_preprocessing(
    tmp_path: Path, model_cache: Path, head: str
) -> None:
    """As torchvision's transforms, timm and torch answer for the same pixels."""
    torch.manual_seed(4)
    network = timm.create_model("resnet18", num_classes=3).eval()
    torch.save(network.state_dict(), tmp_path / "net.pt")
    fields = {
        "name": "three",
        "version": "1",
        "architecture": {"name": "resnet18"},
        "task": "multiclass" if head == "softmax" else "multilabel",
        "classes": ["a", {"name": "b", "colour": "#123456"}, "tumour"],
        "head": head,
        "patch_px": 80,
        "mpp": 0.5,
        "preprocessing": {"resize": {"px": 72, "interpolation": "bicubic"}, "crop": 64},
        "normalisation": {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
        "threshold": {"value": 0.5, "chosen": "by definition"},
        "training": {"data": "nothing"},
        "licence": "none",
        "intended_use": "tests",
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(fields))
    patches = colour_patches(18, 80)
    np.savez(tmp_path / "patches.npz", patches=patches)
    made = pack(
        tmp_path / "model.yaml", tmp_path / "net.pt", tmp_path / "patches.npz", tmp_path / "out"
    )
    theirs = transforms.Compose(
        [
            transforms.Resize(72, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with torch.inference_mode():
        answers = network(torch.stack([theirs(Image.fromarray(one)) for one in patches]))
        expected = (torch.softmax(answers, 1) if head == "softmax" else answers).numpy()
    np.testing.assert_allclose(made.reference()[1], expected, atol=1e-4)
    convert_here(made, model_cache)  # torch is loaded: a child would load it again
    request = RuntimeRequest("cpu", "fp32", model_cache, threads=2)
    predictor = load_predictor(made, request, threshold=0.5)
    np.testing.assert_allclose(predict_all(predictor, patches), expected, atol=1e-4)
    predictor.close()
