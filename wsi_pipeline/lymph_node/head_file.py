"""The fitted head and its figures, as they come with this program."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from wsi_pipeline import durable
from wsi_pipeline.errors import PackageError
from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.lymph_node.network import Head

#: Where both lie.
FITTED = Path(__file__).parent / "fitted"
HEAD, METRICS = "head.safetensors", "metrics.json"


def save_fitted(head: Head, metrics: dict[str, Any], folder: Path) -> None:
    """Write both; the head in half precision, which :func:`load_head` gives back exactly.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half().contiguous() for name, value in head.state_dict().items()}
    durable.write_bytes(folder / HEAD, safetensors.torch.save(halves))
    durable.write_text(folder / METRICS, json.dumps(metrics, indent=1) + "\n")


def load_head(folder: Path = FITTED) -> Head:
    """The head, in evaluation mode and single precision.

    Raises:
        PackageError: it cannot be read.
    """
    try:
        halves = safetensors.torch.load_file(folder / HEAD)
    except (OSError, safetensors.SafetensorError) as error:
        raise PackageError(LYMPH_NODE, f"its head cannot be read: {error}") from error
    head = Head(len(halves["place.bias"]))
    head.load_state_dict({name: value.to(torch.float32) for name, value in halves.items()})
    return head.eval()


def load_metrics(folder: Path = FITTED) -> dict[str, Any]:
    """The figures that were measured when the head was fitted.

    Raises:
        PackageError: they cannot be read.
    """
    try:
        metrics: dict[str, Any] = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageError(LYMPH_NODE, f"its figures cannot be read: {error}") from error
    return metrics
