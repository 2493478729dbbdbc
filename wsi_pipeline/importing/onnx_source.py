"""ONNX files and OpenVINO graphs: read by OpenVINO, judged by their own runtime."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]  # it has no types

from wsi_pipeline.importing.graph_file import save_graph
from wsi_pipeline.importing.source import Floats, ImportRefusedError, Source
from wsi_pipeline.importing.torchscript import unknown_shape
from wsi_pipeline.model.description import GRAPH, ONNX
from wsi_pipeline.model.openvino_library import ov


def read_onnx(path: Path, **stated: Any) -> Source:
    """An ONNX file.

    Args:
        path: The file.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: it is damaged, needs what is not there, or is no classifier of images.
    """
    _check_external(path)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise ImportRefusedError(path, f"onnxruntime cannot load it: {error}") from error
    given = session.get_inputs()
    if len(given) != 1 or len(session.get_outputs()) != 1:
        raise ImportRefusedError(path, "has not one input and one output")
    name, side = given[0].name, _side(path, list(given[0].shape))
    if given[0].type != "tensor(float)":
        raise ImportRefusedError(path, f"takes {given[0].type}; export it in float32")

    def answer(inputs: Floats, folder: Path) -> Floats:
        try:
            found = np.concatenate([session.run(None, {name: one[None]})[0] for one in inputs])
        except Exception as error:  # as above
            raise ImportRefusedError(path, f"onnxruntime cannot run it: {error}") from error
        checked = _checked(path, found)
        _save(path, lambda: ov.convert_model(path), folder, inputs.shape[2])
        return checked

    runtime = f"onnxruntime {onnxruntime.__version__}"
    keep = partial(_keep, path)
    return Source("ONNX", runtime, answer, side=side, keep=keep, **stated)


def _check_external(path: Path) -> None:
    """Check that the file can be read and that what is kept beside it is of its own folder."""
    try:
        graph = onnx.load_model(str(path), load_external_data=False).graph
    except Exception as error:  # protobuf and onnx have many kinds of error
        raise ImportRefusedError(path, f"is no ONNX file that can be read: {error}") from error
    for tensor in graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                beside = (path.parent / entry.value).resolve()
                if path.parent.resolve() not in beside.parents or not beside.is_file():
                    raise ImportRefusedError(
                        path,
                        f"its data is in {entry.value!r}, which is not a file of its folder; put "
                        "it there, or save the model as one file",
                    )


def _keep(path: Path, folder: Path) -> None:
    """The file as a package's network, with what it keeps beside it inside."""
    onnx.save_model(onnx.load_model(str(path)), str(folder / ONNX))


def read_ir(path: Path, **stated: Any) -> Source:
    """An OpenVINO graph, an ``.xml`` with its ``.bin`` beside it.

    Args:
        path: The ``.xml``.
        stated: Further fields of :class:`Source`.

    Raises:
        ImportRefusedError: it is damaged or is no classifier of images.
    """
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise ImportRefusedError(path, f"OpenVINO cannot read it: {_last(error)}") from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ImportRefusedError(path, "has not one input and one output")
    shape = [None if one.is_dynamic else one.get_length() for one in model.input(0).partial_shape]
    side = _side(path, list(shape))

    def answer(inputs: Floats, folder: Path) -> Floats:
        try:
            compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            found = np.concatenate([compiled(one[None])[0] for one in inputs])
        except (RuntimeError, ValueError) as error:
            raise ImportRefusedError(path, f"OpenVINO cannot run it: {_last(error)}") from error
        checked = _checked(path, found)
        _save(path, lambda: ov.Core().read_model(path), folder, inputs.shape[2])
        return checked

    runtime = f"openvino {ov.__version__.split('-')[0]}"
    return Source("OpenVINO graph", runtime, answer, side=side, **stated)


def _side(path: Path, shape: list[object]) -> int | None:
    if len(shape) != 4 or not (shape[1] in (3, None) or isinstance(shape[1], str)):
        raise ImportRefusedError(
            path, f"takes {shape}, not (n, 3, height, width); export it for RGB images"
        )
    height, width = shape[2:]
    if isinstance(height, int) and isinstance(width, int) and height != width:
        raise ImportRefusedError(path, f"takes images of {height} × {width} px, not squares")
    return height if isinstance(height, int) else None


def _save(path: Path, read: Callable[[], ov.Model], folder: Path, side: int) -> None:
    try:
        save_graph(read(), side, folder / GRAPH)
    except Exception as error:  # OpenVINO meets what it does not know with many kinds of error
        raise ImportRefusedError(path, f"OpenVINO cannot convert it: {_last(error)}") from error


def _last(error: Exception) -> str:
    """The line that says what is wrong: the ones before are places in OpenVINO's sources."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]


def _checked(path: Path, found: Floats) -> Floats:
    if found.ndim not in (1, 2, 4):
        raise ImportRefusedError(path, unknown_shape(list(found.shape)))
    return found.astype(np.float32)
