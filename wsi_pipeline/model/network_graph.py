"""Packages whose network is an OpenVINO graph: normalisation before it, the head behind it."""

import numpy as np

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.package import ModelPackage

operations = ov.opset13


def complete_graph(package: ModelPackage) -> ov.Model:
    """The graph with what :class:`~wsi_pipeline.model.network.Classifier` does around a network.

    Returns:
        A model that takes uint8 NHWC in any number and answers probabilities: ``(n,)`` for a
        binary model, else ``(n, classes)``.

    Raises:
        PackageError: the graph takes or answers something else than the description says.
    """
    about, side = package.description, package.description.input_px
    try:
        model = ov.Core().read_model(package.weights)
        model.reshape([-1, 3, side, side])
        # What the result stands behind: nothing can follow a result.
        answer = model.output(0).get_node().input_value(0)
    except RuntimeError as error:
        raise PackageError(package.folder, f"its graph cannot be used: {error}") from error
    if (
        answer.get_partial_shape().rank.is_dynamic
        or answer.get_partial_shape().rank.get_length() > 2
    ):
        raise PackageError(package.folder, "its graph does not answer one row for each patch")
    value = operations.reshape(answer, np.array([-1, about.units]), special_zero=False)
    classes, temperature = about.classification, about.calibration.temperature
    if about.activation != "none" and temperature != 1:
        value = operations.divide(value, np.float32(temperature))
    if about.activation == "sigmoid":
        value = operations.sigmoid(value)
    if about.activation == "softmax":
        value = operations.softmax(value, axis=1)
    if classes.task == "binary":
        column = classes.names.index(classes.positive) if about.units == 2 else 0
        value = operations.gather(value, np.int64(column), np.int64(1))
    whole = ov.Model([operations.result(value)], model.get_parameters(), about.name)
    steps = ov.preprocess.PrePostProcessor(whole)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    given = steps.input().preprocess().convert_element_type(ov.Type.f32)
    given.mean(list(about.normalisation.mean)).scale(list(about.normalisation.std))
    return steps.build()
