"""Weights of torchvision's networks, where timm's of that name is built otherwise or missing.

They become an OpenVINO graph: the package needs no torchvision.
"""

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from wsi_pipeline.importing.graph_file import save_graph
from wsi_pipeline.importing.source import Floats, ImportRefusedError, Source, centre_of
from wsi_pipeline.model.description import GRAPH
from wsi_pipeline.model.openvino_library import ov

#: Of heads that only training uses.
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")


def is_torchvision(name: str) -> bool:
    """Whether torchvision has a classifier of this name."""
    return name in torchvision.models.list_models(module=torchvision.models)


def torchvision_source(
    path: Path, name: str, tensors: dict[str, torch.Tensor], **stated: Any
) -> Source:
    """A network of torchvision's with its weights and its usual preprocessing.

    Args:
        path: The file of the weights, for messages.
        name: torchvision's.
        tensors: The weights.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: the weights are not this network's.
    """
    network = _network(path, name, tensors)
    usual = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    side, resized, how = usual.crop_size[0], usual.resize_size[0], usual.interpolation.value

    def answer(inputs: Floats, folder: Path) -> Floats:
        with warnings.catch_warnings(), torch.inference_mode():
            # OpenVINO's own way of tracing is deprecated by torch; fp32 is compared afterwards.
            warnings.simplefilter("ignore")
            parts = [network(torch.from_numpy(one[None])) for one in inputs]
            example = torch.from_numpy(inputs[:2])
            save_graph(
                ov.convert_model(network, example_input=example), inputs.shape[2], folder / GRAPH
            )
        return np.concatenate([one.numpy() for one in parts]).astype(np.float32)

    return Source(
        "torchvision checkpoint",
        f"torch {torch.__version__}",
        answer,
        side=side,
        preprocessing=centre_of(resized, side, how),
        patch_px=side,
        mean=tuple(usual.mean),
        std=tuple(usual.std),
        head="by number",
        guessed=(
            f"torchvision's preprocessing of this network is taken: resized to {resized} px "
            f"({how}), its centre of {side} px; else pass --no-resize",
        ),
        **stated,
    )


def _network(path: Path, name: str, tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    given = {key: one for key, one in tensors.items() if not key.startswith(_AUXILIARY)}
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False}
    usual = torchvision.models.get_model(name, weights=None, **options)
    last = [key for key in usual.state_dict() if key.endswith(".weight")][-1]
    if last not in given:
        raise ImportRefusedError(
            path,
            f"are not the weights of {name}: they lack {last}; give their network as "
            "--architecture, or export the model to ONNX",
        )
    network: torch.nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=len(given[last]), **options
    )
    # Files of today's names, whatever version they state: some networks ask for it.
    named = OrderedDict(given)
    named._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]  # noqa: SLF001 - torch's own way
    try:
        network.load_state_dict(named)
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        raise ImportRefusedError(
            path,
            f"are not the weights of {name} ({lines[min(1, len(lines) - 1)].strip()[:200]}); give "
            "their network as --architecture, or export the model to ONNX",
        ) from error
    return network.eval()
