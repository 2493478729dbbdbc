"""WSInfer's model folders: ``config.json`` and a TorchScript file.

The keys are those of ``model-config.schema.json`` 1.0 of wsinfer-zoo, the transforms those of
torchvision (``torchvision.transforms``) that WSInfer builds from them.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from wsi_pipeline.importing.source import ImportRefusedError, Source, Triple, check_trust
from wsi_pipeline.importing.torchscript import PROGRAM, answer_torchscript
from wsi_pipeline.model.input_description import Preprocessing

NETWORK = "torchscript_model.pt"
#: Pillow's numbers, which torchvision takes too.
_NUMBERED = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_ORDERS = (
    ["Resize", "ToTensor", "Normalize"],
    ["ToTensor", "Normalize"],
    ["Resize", "ToTensor"],
    ["ToTensor"],
)


class _ResizeArguments(BaseModel, extra="forbid"):
    size: int | tuple[int] | tuple[int, int]
    interpolation: int | str = "bilinear"
    antialias: bool | str | None = None  # without effect on 8-bit images


class _NormalizeArguments(BaseModel, extra="forbid"):
    mean: Triple
    std: Triple
    inplace: bool = False


class _Transform(BaseModel, extra="forbid"):
    name: Literal["Resize", "ToTensor", "Normalize"]
    arguments: dict[str, Any] = {}


class _Configuration(BaseModel):
    num_classes: int = Field(ge=1)
    class_names: list[str]
    patch_size_pixels: int = Field(ge=1, le=4096)
    spacing_um_px: float = Field(gt=0)
    transform: list[_Transform]


def read_wsinfer(folder: Path, facts: dict[str, Any], *, trust: bool, **stated: Any) -> Source:
    """A model of WSInfer's.

    Args:
        folder: Holds :data:`NETWORK`.
        facts: Its ``config.json``.
        trust: Whether the TorchScript may be loaded, confined.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: something is missing, or a transform is not known here.
    """
    path = folder / "config.json"
    try:
        configuration = _Configuration.model_validate(facts)
        given = {one.name: one.arguments for one in configuration.transform}
        resize = _ResizeArguments.model_validate(given["Resize"]) if "Resize" in given else None
        normalize = (
            _NormalizeArguments.model_validate(given["Normalize"]) if "Normalize" in given else None
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ImportRefusedError(path, f"{place}: {first['msg']}") from error
    names, side = configuration.class_names, configuration.patch_size_pixels
    if len(names) != configuration.num_classes or len(set(names)) != len(names):
        raise ImportRefusedError(
            path,
            f"says {configuration.num_classes} classes and names {len(set(names))}; correct it",
        )
    order = [one.name for one in configuration.transform]
    if order not in _ORDERS:
        raise ImportRefusedError(path, f"transforms by {order}, an order that is not known here")
    steps = Preprocessing()
    if resize is not None:
        steps, side = _resizing(path, resize)
    network = folder / NETWORK
    if not network.is_file():
        raise ImportRefusedError(folder, f"holds no {NETWORK}")
    check_trust(network, PROGRAM, trust=trust)
    return Source(
        "WSInfer model",
        "torch.jit",
        lambda x, made: answer_torchscript(network, x, made),
        side=side,
        preprocessing=steps,
        patch_px=configuration.patch_size_pixels,
        mean=(0.0, 0.0, 0.0) if normalize is None else normalize.mean,
        std=(1.0, 1.0, 1.0) if normalize is None else normalize.std,
        mpp=configuration.spacing_um_px,
        classes=tuple(names),
        head="by number",
        **stated,
    )


def _resizing(path: Path, resize: _ResizeArguments) -> tuple[Preprocessing, int]:
    sides = (resize.size,) if isinstance(resize.size, int) else resize.size
    if len(set(sides)) != 1:
        raise ImportRefusedError(path, f"resizes to {sides} px, which is no square")
    how = resize.interpolation
    name = _NUMBERED.get(how, str(how)) if isinstance(how, int) else how
    try:
        steps = Preprocessing.model_validate({"resize": {"px": sides[0], "interpolation": name}})
    except ValidationError as error:
        raise ImportRefusedError(
            path, f"resizes to {sides[0]} px by {how!r}, which is not known here"
        ) from error
    return steps, sides[0]
