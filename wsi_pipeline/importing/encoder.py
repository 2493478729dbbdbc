"""Encoders of timm's kind: a network without its last layer, as pathology encoders are published.

Published folders hold ``config.json`` with timm's name (``architecture``) and what differs from it
(``model_args``), and the weights under timm's names, or DINOv2's, which timm itself renames.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import timm
import torch
from pydantic import ValidationError

from wsi_pipeline.errors import PackageError
from wsi_pipeline.importing.source import ImportRefusedError, ImportRequest
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.network import TokenAndAverage, build_network
from wsi_pipeline.model.transformer_options import options_of

_POOLING = {"token": "token", "avg": "average", "": "token"}


def described_encoder(
    path: Path, name: str, request: ImportRequest, arguments: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What ``architecture`` of ``model.yaml`` has besides the name; None where it is no encoder.

    Args:
        path: The source, for messages.
        name: timm's of the network.
        request: What the user says of it.
        arguments: Of timm's that the network was built with.

    Raises:
        ImportRefusedError: an argument is not known here.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    pooled = given.get("global_pool")
    classless = given.get("num_classes") == 0
    if not (request.encoder or classless):
        try:
            rest = options_of({**given, "global_pool": None})
        except ValueError as error:
            raise ImportRefusedError(path, _unknown(error)) from error
        if rest:
            raise ImportRefusedError(
                path,
                f"builds its network with {rest}, and has classes; pass --encoder to import what "
                "comes before them, or export it to ONNX",
            )
        return None
    if pooled is not None and pooled not in _POOLING:
        raise ImportRefusedError(path, _unknown(f"global_pool {pooled!r}"))
    try:
        options = options_of(given)
        transformer = hasattr(timm.models.vision_transformer, name)
        usual = _POOLING[pooled] if pooled is not None and transformer else "network"
        facts: dict[str, Any] = {"pooling": request.pooling or usual, "dropout": 0.0}
        if options:
            facts["options"] = options
        Architecture.model_validate({"name": f"timm/{name}", **facts})
    except ValidationError as error:
        first = error.errors()[0]
        raise ImportRefusedError(
            path, f"{'.'.join(str(one) for one in first['loc'])}: {first['msg']}"
        ) from error
    except ValueError as error:
        raise ImportRefusedError(path, _unknown(error)) from error
    return facts


def _unknown(error: ValueError | str) -> str:
    return f"builds its network with {error}, which is not known here; export it to ONNX"


def encoder_network(
    path: Path, name: str, tensors: dict[str, torch.Tensor], side: int, encoder: Mapping[str, Any]
) -> torch.nn.Module:
    """The encoder with its weights, in evaluation mode.

    Args:
        path: The file of the weights, for messages.
        name: timm's of the network.
        tensors: The weights; those of a last layer are left out.
        side: In px of what it takes.
        encoder: As :func:`described_encoder` gives it.

    Raises:
        ImportRefusedError: the weights are not this network's.
    """
    described = Architecture.model_validate({"name": f"timm/{name}", **encoder})
    try:
        network = build_network(described, 0, side)
    except PackageError as error:
        raise ImportRefusedError(path, error.cause) from error
    inner = network.network if isinstance(network, TokenAndAverage) else network
    known = timm.get_pretrained_cfg(name)
    if hasattr(timm.models.vision_transformer, name):
        transformer = cast("timm.models.VisionTransformer", inner)
        tensors = timm.models.vision_transformer.checkpoint_filter_fn(tensors, transformer)
    last = "" if known is None else str(known.classifier)
    given = {key: one for key, one in tensors.items() if not key.startswith(f"{last}.")}
    try:
        inner.load_state_dict(given)
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        raise ImportRefusedError(
            path,
            f"are not the weights of timm's {name} as it is built here "
            f"({lines[min(1, len(lines) - 1)].strip()[:200]}); give their network as "
            "--architecture, or the folder with its config.json",
        ) from error
    return network.eval()
