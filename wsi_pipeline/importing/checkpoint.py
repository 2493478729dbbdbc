"""Weights without their network: of a network of timm's, or of torchvision's."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from wsi_pipeline.importing.encoder import described_encoder, encoder_network
from wsi_pipeline.importing.source import (
    Floats,
    ImportRefusedError,
    ImportRequest,
    Source,
    Triple,
    centre_of,
)
from wsi_pipeline.importing.torchvision_source import is_torchvision, torchvision_source
from wsi_pipeline.importing.weights import read_weights
from wsi_pipeline.model.description import WEIGHTS
from wsi_pipeline.model.network import save_weights

_PIL = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
#: timm's own, where nothing is said (``timm.data.transforms_factory``).
_CROP_SHARE = 0.875


def read_checkpoint(path: Path, request: ImportRequest, **stated: Any) -> Source:
    """A file of weights, safetensors or what ``torch.save`` wrote of tensors.

    Args:
        path: The file.
        request: Names its network: timm's name, or torchvision's; ``timm/NAME`` and
            ``torchvision/NAME`` say whose, where both have one.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: it holds more than tensors, or the weights of another network.
    """
    if request.architecture is None:
        raise ImportRefusedError(
            path, "is a checkpoint, which does not say its network; pass --architecture NAME"
        )
    library, _, name = request.architecture.rpartition("/")
    of_timm = library in ("", "timm") and timm.is_model(name)
    of_torchvision = library in ("", "torchvision") and is_torchvision(name)
    if not of_timm and not of_torchvision:
        raise ImportRefusedError(
            path,
            f"there is no network {request.architecture!r} in timm {timm.__version__} or "
            "torchvision; export the model to ONNX and import that",
        )
    tensors = read_weights(path, trust=request.trust)
    if of_timm:
        try:
            return timm_source(path, name, tensors, {}, request, form="checkpoint", **stated)
        except ImportRefusedError:
            if not of_torchvision:
                raise
    return torchvision_source(path, name, tensors, **stated)


def read_hugging_face(
    folder: Path, facts: dict[str, Any], request: ImportRequest, **stated: Any
) -> Source:
    """A folder as timm pushes it to the Hugging Face hub.

    Args:
        folder: Holds the weights.
        facts: Its ``config.json``, with ``pretrained_cfg``.
        request: Says whether a pickle may be read.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: the weights are missing or not this network's.
    """
    stored = ("model.safetensors", "pytorch_model.bin")
    weights = next((folder / name for name in stored if (folder / name).is_file()), None)
    if weights is None:
        raise ImportRefusedError(folder, f"holds no {stored[0]}")
    name = str(facts.get("architecture"))
    if not timm.is_model(name):
        raise ImportRefusedError(
            folder / "config.json",
            f"there is no network {name!r} in timm {timm.__version__}; export the model to ONNX "
            "and import that",
        )
    configuration = {**facts["pretrained_cfg"]}
    arguments = {**(facts.get("model_args") or {})}
    for key in ("num_classes", "global_pool"):
        arguments.setdefault(key, facts.get(key))
    names = facts.get("label_names") or configuration.get("label_names") or ()
    stated["licence"] = stated.get("licence") or configuration.get("license")
    return timm_source(
        weights,
        name,
        read_weights(weights, trust=request.trust),
        configuration,
        request,
        arguments,
        form="Hugging Face folder",
        classes=tuple(str(one) for one in names),
        **stated,
    )


def timm_source(
    path: Path,
    name: str,
    tensors: dict[str, torch.Tensor],
    configuration: dict[str, Any],
    request: ImportRequest,
    arguments: Mapping[str, Any] | None = None,
    *,
    form: str,
    **stated: Any,
) -> Source:
    """A network of timm's with its weights and the preprocessing of its configuration.

    Args:
        path: The file of the weights, for messages.
        name: The network's.
        tensors: The weights.
        configuration: timm's ``pretrained_cfg``; what it lacks is the network's usual one.
        request: Whether it is an encoder, and how its tokens are pooled.
        arguments: Of timm's that the network was built with.
        form: For messages.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: the weights are not this network's, or a step is not known here.
    """
    known = timm.get_pretrained_cfg(name)
    usual = {} if known is None else known.to_dict()  # type: ignore[no-untyped-call]  # timm types it not
    facts = {**usual, **configuration}
    try:
        channels, side, width = (int(one) for one in facts.get("input_size", (3, 224, 224)))
        share = float(facts.get("crop_pct") or _CROP_SHARE)
        mean, std = _triple(facts["mean"]), _triple(facts["std"])
    except (KeyError, TypeError, ValueError) as error:
        raise ImportRefusedError(path, f"its pretrained_cfg is not sound: {error!r}") from error
    how, mode = str(facts.get("interpolation") or "bilinear"), facts.get("crop_mode") or "center"
    if channels != 3 or side != width:
        raise ImportRefusedError(path, f"takes {channels} × {side} × {width}, not square RGB")
    resized = math.floor(side / share)
    if how not in _PIL or (mode == "border" and resized < side):
        raise ImportRefusedError(path, f"resizes by {how!r} and {mode!r}, which is not known here")
    encoder = described_encoder(path, name, request, arguments or {})
    if encoder is None:
        network = _network(path, name, tensors, side)
    else:
        network = encoder_network(path, name, tensors, side, encoder)

    def answer(inputs: Floats, folder: Path) -> Floats:
        with torch.inference_mode():
            try:
                parts = [network(torch.from_numpy(one[None])) for one in inputs]
            except (RuntimeError, AssertionError) as error:
                raise ImportRefusedError(
                    path, f"cannot take {inputs.shape[2]} px: {error}"
                ) from error
        save_weights(network, folder / WEIGHTS)
        return np.concatenate([one.numpy() for one in parts]).astype(np.float32)

    guessed: tuple[str, ...] = ()
    if not configuration:
        guessed = (
            f"timm's preprocessing of this network is taken: resized to {resized} px ({how}), its "
            f"centre of {side} px; else pass --no-resize",
        )
    return Source(
        form,
        f"torch {torch.__version__}",
        answer,
        side=side,
        architecture=f"timm/{name}",
        preprocessing=centre_of(resized, side, how),
        patch_px=side,
        mean=mean,
        std=std,
        head="by number",
        guessed=guessed,
        encoder=encoder,
        **stated,
    )


def _triple(values: Any) -> Triple:
    red, green, blue = (float(one) for one in values)
    return red, green, blue


def _network(path: Path, name: str, tensors: dict[str, torch.Tensor], side: int) -> torch.nn.Module:
    known = timm.get_pretrained_cfg(name)
    given = {key: one for key, one in tensors.items() if not key.startswith("AuxLogits.")}
    if name.startswith("vgg") and "classifier.0.weight" in given:
        from timm.models.vgg import _filter_fn  # noqa: PLC0415 - timm's own, of this network

        given = _filter_fn(given)
    last = given.get(f"{None if known is None else known.classifier}.weight")
    if last is None:
        raise ImportRefusedError(
            path,
            f"holds no last layer of timm's {name}, by its name there; pass --encoder if it is "
            "one, give the weights' network as --architecture, or export the model to ONNX",
        )
    options: dict[str, Any] = {"aux_logits": False} if name == "inception_v3" else {}
    if known is not None and known.fixed_input_size:
        options["img_size"] = side
    network: torch.nn.Module = timm.create_model(
        name, pretrained=False, num_classes=len(last), **options
    )
    try:
        network.load_state_dict(given)
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        raise ImportRefusedError(
            path,
            f"are not the weights of timm's {name} ({lines[min(1, len(lines) - 1)].strip()[:200]});"
            " give their network as --architecture, or export the model to ONNX",
        ) from error
    return network.eval()
