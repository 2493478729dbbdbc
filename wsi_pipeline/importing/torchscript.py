"""TorchScript files, which can run code: loaded in a confined child only."""

import os
import tempfile
from pathlib import Path

import numpy as np

from wsi_pipeline.importing.confined_call import (
    ConfinedCallError,
    ConfinedLimits,
    NotConfinedError,
    call_confined,
)
from wsi_pipeline.importing.source import Floats, ImportRefusedError
from wsi_pipeline.model.description import GRAPH, GRAPH_WEIGHTS

#: Why it is refused without `--trust`.
PROGRAM = (
    "TorchScript, a program that runs when it is loaded (here once, without network and without "
    "write access)"
)
_INPUTS, _OUTPUTS, _CONVERTED = "inputs.npy", "outputs.npy", "converted"


def answer_torchscript(
    path: Path, inputs: Floats, folder: Path, limits: ConfinedLimits | None = None
) -> Floats:
    """Answers of a TorchScript file; its network is left in the folder as an OpenVINO graph.

    Args:
        path: The file.
        inputs: float32 NCHW, ``(n, 3, side, side)``.
        folder: Of the package.
        limits: What the child may use.

    Raises:
        ImportRefusedError: it fails, or tries what it may not.
    """
    with tempfile.TemporaryDirectory() as private:
        inside = Path(private).resolve()
        np.save(inside / _INPUTS, inputs)
        arguments = {"file": str(path.resolve()), "folder": str(inside)}
        try:
            said = call_confined(
                "wsi_pipeline.importing.torchscript_child",
                arguments,
                inside,
                limits or ConfinedLimits(),
                path.resolve(),
            )
        except NotConfinedError as error:
            raise ImportRefusedError(
                path,
                f"is TorchScript, and this machine cannot take network and write access from it "
                f"({error}); import it on another machine",
            ) from error
        except ConfinedCallError as error:
            remedy = "" if "denied" in str(error) else f"; it was given {inputs.shape[2]} px"
            raise ImportRefusedError(path, f"TorchScript: it {error}{remedy}") from error
        if said["kind"] != "Tensor":
            raise ImportRefusedError(
                path, f"answers with a {said['kind']}, not with one tensor; export it so"
            )
        if len(said["shape"]) not in (1, 2, 4):
            raise ImportRefusedError(path, unknown_shape(said["shape"]))
        if said["converted"]:
            raise ImportRefusedError(path, f"OpenVINO cannot convert it: {said['converted']}")
        for suffix, name in ((".xml", GRAPH), (".bin", GRAPH_WEIGHTS)):
            _copy(inside / f"{_CONVERTED}{suffix}", folder / name)
        found: Floats = np.load(inside / _OUTPUTS, allow_pickle=False).astype(np.float32)
        return found


def unknown_shape(shape: list[int]) -> str:
    """The cause to give for a network that answers with neither numbers nor maps."""
    return f"answers with {shape} numbers; (n, classes) or (n, classes, rows, columns) are known"


def _copy(made: Path, to: Path) -> None:
    # The child wrote it: no link is followed.
    descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        to.write_bytes(file.read())
