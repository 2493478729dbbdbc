"""Pooled features of a network that is a graph: what its last product of matrices is given."""

from typing import Any

import numpy as np

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.predictor import Head

operations = ov.opset13


def with_head(model: ov.Model, head: Head, name: str) -> ov.Model:
    """A graph that answers with features, or with its classes and features.

    Args:
        model: Answers with classes, ``(n,)`` or ``(n, classes)``.
        head: What the new graph answers with; of both, classes are the first output.
        name: Of the package, for messages.

    Raises:
        PackageError: the classes are not made of features by a product of matrices.
    """
    if head == "classes":
        return model
    (answer,) = (result.input_value(0) for result in model.get_results())
    features = _rows(_last_product(answer, name), name)
    results = [operations.result(features)]
    if head == "both":
        results = [operations.result(answer), *results]
    return ov.Model(results, model.get_parameters(), name)


def _last_product(value: Any, name: str) -> Any:
    """The first input of the last ``MatMul``: behind it, everything has one input that varies."""
    while True:
        node = value.get_node()
        varying = [one for one in node.input_values() if not _is_constant(one)]
        if len(varying) != 1:
            break
        if node.get_type_name() == "MatMul":
            if node.input_value(0) == varying[0]:
                return varying[0]
            break
        value = varying[0]
    raise PackageError(
        name,
        "its graph does not end in a linear layer, so it has no pooled features; choose another "
        "package",
    )


def _is_constant(value: Any) -> bool:
    node = value.get_node()
    if node.get_type_name() == "Constant":
        return True
    inputs = node.input_values()
    return bool(inputs) and all(_is_constant(one) for one in inputs)


def _rows(value: Any, name: str) -> Any:
    """Float32 ``(n, features)``."""
    shape = value.get_partial_shape()
    sides = [] if shape.rank.is_dynamic else list(shape)[1:]
    if not sides or any(side.is_dynamic for side in sides):
        raise PackageError(name, "its graph does not say how many features it has")
    lengths = [side.get_length() for side in sides]
    if max(lengths) != int(np.prod(lengths)):
        raise PackageError(name, f"the input of its last layer is {lengths}, no row of features")
    if len(lengths) > 1:
        value = operations.reshape(value, np.array([-1, max(lengths)]), special_zero=False)
    return operations.convert(value, "f32")
