"""An ONNX network that also answers with its pooled features, the input of its last product."""

import importlib.util
from typing import Any

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import ModelPackage


def with_features(package: ModelPackage) -> bytes:
    """The package's ONNX file with the features as a second output.

    Raises:
        PackageError: ``onnx``, which changes such files, is not installed; or the classes are not
            made of features by a ``Gemm`` or ``MatMul``.
    """
    if importlib.util.find_spec("onnx") is None:
        raise PackageError(
            package.folder,
            "holds an ONNX file, and onnx, which finds its features, is not installed: pip install "
            "'wsi-pipeline[training]'",
        )
    import onnx  # noqa: PLC0415 - few packages need it

    model = onnx.load(package.weights)
    features = _input_of_last_product(model.graph)
    if features is None:
        raise PackageError(
            package.folder,
            "its network does not end in a linear layer, so it has no pooled features; choose "
            "another package",
        )
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(features, onnx.TensorProto.FLOAT, None)
    )
    content: bytes = model.SerializeToString()
    return content


def _input_of_last_product(graph: Any) -> str | None:
    """Name of the first input of the last product; None if something else varies behind it."""
    makers = {name: node for node in graph.node for name in node.output}
    fixed = {one.name for one in graph.initializer}

    def constant(name: str) -> bool:
        maker = makers.get(name)
        if maker is None:
            return name in fixed or not name
        return all(constant(one) for one in maker.input)

    name = graph.output[0].name
    while name in makers:
        node = makers[name]
        varying = [one for one in node.input if not constant(one)]
        if len(varying) != 1:
            return None
        if node.op_type in ("Gemm", "MatMul"):
            return varying[0] if node.input[0] == varying[0] else None
        name = varying[0]
    return None
