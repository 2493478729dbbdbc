"""What is done with a TorchScript file in the confined child: load, run, convert."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsi_pipeline.importing.graph_file import save_graph
from wsi_pipeline.model.openvino_library import ov

INPUTS, OUTPUTS, NETWORK = "inputs.npy", "outputs.npy", "converted.xml"


def work(
    arguments: dict[str, Any], begin: Callable[[], object], end: Callable[[], object]
) -> dict[str, Any]:
    """Answer the inputs of the folder and leave the network there as an OpenVINO graph.

    Args:
        arguments: ``file`` (TorchScript) and ``folder``, which holds :data:`INPUTS`, float32 NCHW;
            :data:`OUTPUTS` and :data:`NETWORK` are written there.
        begin: Called before the file is touched.
        end: Called when it will not run any more.

    Returns:
        ``shape`` of the answers; ``kind`` where they are no tensor; ``converted``: None, or why the
        network is no OpenVINO graph.
    """
    folder = Path(arguments["folder"])
    inputs = torch.from_numpy(np.load(folder / INPUTS, allow_pickle=False))
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        begin()
        module = torch.jit.load(arguments["file"], map_location="cpu")  # type: ignore[no-untyped-call]  # torch types it not
        # In fp32 also where the weights are of half precision.
        module = module.float().eval()
        answers = [module(one[None]) for one in inputs]
        end()
        if not all(torch.is_tensor(one) for one in answers):
            return {"kind": type(answers[0]).__name__, "shape": [], "converted": None}
        outputs = torch.cat(answers).float().numpy()
        np.save(folder / OUTPUTS, outputs)
        said = {"shape": list(outputs.shape), "kind": "Tensor", "converted": None}
        if outputs.ndim in (1, 2, 4):
            said["converted"] = _convert(module, inputs[:2], folder / NETWORK)
    return said


def _convert(module: Any, example: torch.Tensor, path: Path) -> str | None:
    try:
        model = ov.convert_model(module, example_input=example)
        save_graph(model, example.shape[2], path)
    except Exception as error:  # OpenVINO meets what it does not know with many kinds of error
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None
