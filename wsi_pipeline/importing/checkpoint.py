"""Weights of a network of timm's, also under torchvision's names where they are the same."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch

from wsi_pipeline.importing.source import Floats, ImportRefusedError, Source, Triple
from wsi_pipeline.model.description import WEIGHTS, Preprocessing
from wsi_pipeline.model.network import save_weights

#: What training wrappers put before every name.
_PREFIXES = ("module.", "model.", "backbone.")
_PIL = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
#: timm's own, where nothing is said (``timm.data.transforms_factory``).
_CROP_SHARE = 0.875


def read_checkpoint(path: Path, name: str | None) -> Source:
    """A file of weights, safetensors or what ``torch.save`` wrote of tensors.

    Args:
        path: The file. Of a pickle only tensors are read: no code in it runs.
        name: Its network, a name of timm's or torchvision's.

    Raises:
        ImportRefusedError: it holds more than tensors, or the weights of another network.
    """
    if name is None:
        raise ImportRefusedError(
            path, "is a checkpoint, which does not say its network; pass --architecture NAME"
        )
    return timm_source(path, name, {}, form="checkpoint")


def timm_source(
    weights: Path, name: str, configuration: dict[str, Any], *, form: str, **stated: Any
) -> Source:
    """A network of timm's with its weights and the preprocessing of its configuration.

    Args:
        weights: The file.
        name: The network's.
        configuration: timm's ``pretrained_cfg``; what it lacks is the network's usual one.
        form: For messages.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: the weights are not this network's, or a step is not known here.
    """
    name = name.removeprefix("timm/")
    if not timm.is_model(name):
        raise ImportRefusedError(
            weights,
            f"there is no network {name!r} in timm {timm.__version__}; export it to ONNX instead",
        )
    known = timm.get_pretrained_cfg(name)
    usual = {} if known is None else known.to_dict()  # type: ignore[no-untyped-call]  # timm types it not
    facts = {**usual, **configuration}
    side = int(facts.get("input_size", (3, 224, 224))[-1])
    share = float(facts.get("crop_pct") or _CROP_SHARE)
    how = str(facts.get("interpolation") or "bilinear")
    if how not in _PIL:
        raise ImportRefusedError(weights, f"resizes by {how!r}, which is not known here")
    tensors = _tensors(weights)
    network = _network(weights, name, tensors, side)

    def answer(inputs: Floats, folder: Path) -> Floats:
        with torch.inference_mode():
            parts = [network(torch.from_numpy(one[None])) for one in inputs]
        save_weights(network, folder / WEIGHTS)
        return np.concatenate([one.numpy() for one in parts]).astype(np.float32)

    mean, std = _triple(facts["mean"]), _triple(facts["std"])
    resized = math.floor(side / share)
    steps = Preprocessing.model_validate(
        {"resize": {"px": resized, "interpolation": how}, "crop": side}
    )
    return Source(
        form,
        f"torch {torch.__version__}",
        answer,
        side=side,
        architecture=f"timm/{name}",
        preprocessing=steps,
        patch_px=side,
        mean=mean,
        std=std,
        head="by number",
        **stated,
    )


def _triple(values: Any) -> Triple:
    red, green, blue = (float(one) for one in values)
    return red, green, blue


def _network(path: Path, name: str, tensors: dict[str, torch.Tensor], side: int) -> Any:
    known = timm.get_pretrained_cfg(name)
    given = {key: one for key, one in tensors.items() if not key.startswith("AuxLogits.")}
    if name.startswith("vgg") and "classifier.0.weight" in given:
        from timm.models.vgg import _filter_fn  # noqa: PLC0415 - timm's own, of this network

        given = _filter_fn(given)
    last = given.get(f"{None if known is None else known.classifier}.weight")
    if last is None:
        raise ImportRefusedError(path, f"holds no last layer of timm's {name}, by its name there")
    options: dict[str, Any] = {"aux_logits": False} if name == "inception_v3" else {}
    if known is not None and known.fixed_input_size:
        options["img_size"] = side
    network = timm.create_model(name, pretrained=False, num_classes=len(last), **options)
    try:
        network.load_state_dict(given)
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        raise ImportRefusedError(
            path,
            f"are not the weights of timm's {name} ({lines[min(1, len(lines) - 1)].strip()}); give "
            "their network as --architecture, or export the model to ONNX",
        ) from error
    if not all(bool(torch.isfinite(one).all()) for one in network.state_dict().values()):
        raise ImportRefusedError(path, "holds weights that are not finite")
    return network.eval()


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch meets what is no state dict with many kinds of error
        raise ImportRefusedError(
            path,
            "holds more than tensors, or cannot be read; nothing of it was run. Save its "
            f"state_dict() instead ({str(error).strip().splitlines()[0][:160]})",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(torch.is_tensor(one) for one in loaded.values()):
        raise ImportRefusedError(path, "is no state dict of tensors")
    tensors: dict[str, torch.Tensor] = loaded
    for prefix in _PREFIXES:
        if tensors and all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): one for key, one in tensors.items()}
    return tensors
