"""ONNX files and OpenVINO graphs: read by OpenVINO, judged by their own runtime."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]  # it has no types

from wsi_pipeline.importing.source import Floats, ImportRefusedError, Source
from wsi_pipeline.importing.torchscript import unknown_shape
from wsi_pipeline.model.description import GRAPH, ONNX
from wsi_pipeline.model.openvino_library import ov


def read_onnx(path: Path) -> Source:
    """An ONNX file.

    Raises:
        ImportRefusedError: it is damaged, needs what is not there, or is no classifier of images.
    """
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
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise ImportRefusedError(path, f"onnxruntime cannot load it: {error}") from error
    given = session.get_inputs()
    if len(given) != 1 or len(session.get_outputs()) != 1:
        raise ImportRefusedError(path, "has not one input and one output")
    name, side = given[0].name, _side(path, list(given[0].shape))

    def answer(inputs: Floats, folder: Path) -> Floats:
        try:
            found = np.concatenate([session.run(None, {name: one[None]})[0] for one in inputs])
        except Exception as error:  # as above
            raise ImportRefusedError(path, f"onnxruntime cannot run it: {error}") from error
        _save(path, folder, inputs.shape[2])
        return _checked(path, found)

    runtime = f"onnxruntime {onnxruntime.__version__}"
    return Source("ONNX", runtime, answer, side=side, keep=lambda folder: _keep(path, folder))


def _keep(path: Path, folder: Path) -> None:
    """The file as a package's network, with what it keeps beside it inside."""
    onnx.save_model(onnx.load_model(str(path)), str(folder / ONNX))


def read_ir(path: Path) -> Source:
    """An OpenVINO graph, an ``.xml`` with its ``.bin`` beside it.

    Raises:
        ImportRefusedError: it is damaged or is no classifier of images.
    """
    try:
        model = ov.Core().read_model(path)
    except RuntimeError as error:
        raise ImportRefusedError(path, f"OpenVINO cannot read it: {error}") from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ImportRefusedError(path, "has not one input and one output")
    shape = [None if one.is_dynamic else one.get_length() for one in model.input(0).partial_shape]
    side = _side(path, list(shape))

    def answer(inputs: Floats, folder: Path) -> Floats:
        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = ov.Core().compile_model(model, "CPU", hint)
        found = np.concatenate([compiled(one[None])[0] for one in inputs])
        _save(path, folder, inputs.shape[2])
        return _checked(path, found)

    return Source("OpenVINO graph", f"openvino {ov.__version__.split('-')[0]}", answer, side=side)


def _side(path: Path, shape: list[object]) -> int | None:
    if len(shape) != 4 or not (shape[1] in (3, None) or isinstance(shape[1], str)):
        raise ImportRefusedError(
            path, f"takes {shape}, not (n, 3, height, width); export it for RGB images"
        )
    height, width = shape[2:]
    if isinstance(height, int) and isinstance(width, int) and height != width:
        raise ImportRefusedError(path, f"takes images of {height} × {width} px, not squares")
    return height if isinstance(height, int) else None


def _save(path: Path, folder: Path, side: int) -> None:
    try:
        model = ov.convert_model(path) if path.suffix == ".onnx" else ov.Core().read_model(path)
        model.reshape([-1, 3, side, side])
        ov.save_model(model, folder / GRAPH, compress_to_fp16=False)
    except Exception as error:  # OpenVINO meets what it does not know with many kinds of error
        cause = (str(error).strip().splitlines() or ["no message"])[0]
        raise ImportRefusedError(path, f"OpenVINO cannot convert it: {cause}") from error


def _checked(path: Path, found: Floats) -> Floats:
    if found.ndim not in (1, 2, 4):
        raise ImportRefusedError(path, unknown_shape(list(found.shape)))
    return found.astype(np.float32)
