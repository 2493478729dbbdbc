"""Small networks in every form that can be imported, and what their own programs answer."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from wsi_pipeline.model.openvino_library import ov

SIDE = 64
MEAN, STD = (0.7, 0.5, 0.6), (0.2, 0.25, 0.22)
#: Of a checkpoint's network in timm: its smallest one that has batch normalisation.
NAME = "test_resnet"


class Small(torch.nn.Module):
    """Colours and edges, then a linear layer: any size of image, any number of classes."""

    def __init__(self, units: int, last: torch.nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        )
        self.fc = torch.nn.Linear(16, units)
        torch.nn.init.normal_(self.fc.weight, std=2)
        self.last = last or torch.nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.fc(self.features(x)))
        return found


def small(units: int, last: torch.nn.Module | None = None) -> torch.nn.Module:
    return Small(units, last).eval()


def of_timm(units: int, name: str = NAME) -> torch.nn.Module:
    torch.manual_seed(0)
    made: Any = timm.create_model(name, num_classes=units)
    torch.nn.init.normal_(made.get_classifier().weight, std=0.3)
    network: torch.nn.Module = made.eval()
    return network


def torchscript(module: torch.nn.Module, path: Path, side: int = SIDE) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(2, 3, side, side)).save(path)  # type: ignore[no-untyped-call]  # torch types it not
    return path


def onnx(module: torch.nn.Module, path: Path, *, axes: bool = True) -> Path:
    names: Any = {"input_names": ["x"], "output_names": ["y"], "dynamo": False}
    if axes:
        names["dynamic_axes"] = {"x": {0: "n"}, "y": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(2 if axes else 1, 3, SIDE, SIDE),), path, **names)
    return path


def ir(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ov.convert_model(module, example_input=torch.zeros(2, 3, SIDE, SIDE))
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def wsinfer_config(**changed: Any) -> dict[str, Any]:
    return {
        "spec_version": "1.0",
        "architecture": "resnet34",
        "num_classes": 2,
        "class_names": ["Other", "Tumor"],
        "patch_size_pixels": 80,
        "spacing_um_px": 0.5,
        "transform": [
            {"name": "Resize", "arguments": {"size": SIDE}},
            {"name": "ToTensor"},
            {"name": "Normalize", "arguments": {"mean": MEAN, "std": STD}},
        ],
        **changed,
    }


def wsinfer_folder(module: torch.nn.Module, folder: Path, **changed: Any) -> Path:
    folder.mkdir(parents=True)
    torchscript(module, folder / "torchscript_model.pt")
    (folder / "config.json").write_text(json.dumps(wsinfer_config(**changed)))
    (folder / "README.md").write_text("---\nlicense: bsd-3-clause\n---\nA card.\n")
    return folder


def hub_folder(module: torch.nn.Module, folder: Path, **changed: Any) -> Path:
    """As timm's ``save_for_hf`` leaves it."""
    folder.mkdir(parents=True)
    safetensors.torch.save_model(module, str(folder / "model.safetensors"))
    facts: dict[str, Any] = {
        "architecture": NAME,
        "num_classes": 3,
        "label_names": ["stroma", "tumour", "necrosis"],
        "pretrained_cfg": hub_configuration(),
        **changed,
    }
    (folder / "config.json").write_text(json.dumps(facts))
    return folder


def hub_configuration() -> dict[str, Any]:
    return {
        "input_size": [3, SIDE, SIDE],
        "mean": MEAN,
        "std": STD,
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "license": "cc-by-4.0",
    }


def steps(*first: Any, mean: Any = MEAN, std: Any = STD) -> Any:
    """torchvision's transforms, as programs write them."""
    last = (transforms.ToTensor(), transforms.Normalize(mean, std))
    return transforms.Compose([*first, *last])


def timm_steps(facts: dict[str, Any]) -> Any:
    """timm's transform of a ``pretrained_cfg``."""
    known = ("input_size", "mean", "std", "interpolation", "crop_pct")
    given = {key: facts[key] for key in known} | {"input_size": tuple(facts["input_size"])}
    data: Any = timm.data
    return data.create_transform(**given)


def usual_steps(module: torch.nn.Module) -> Any:
    """timm's transform of a network that states no configuration of its own."""
    data: Any = timm.data
    return timm_steps(data.resolve_data_config(model=module))


def answers(
    module: torch.nn.Module,
    patches: NDArray[np.uint8],
    prepare: Callable[[Image.Image], torch.Tensor],
) -> NDArray[np.float32]:
    """What the program the model comes from answers, before any head, ``(n, k)``."""
    with torch.inference_mode():
        made = [module(prepare(Image.fromarray(one))[None]) for one in patches]
        found: NDArray[np.float32] = torch.cat(made).numpy()
        return found
