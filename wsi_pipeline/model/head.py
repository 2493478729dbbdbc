"""From what a network answers to probabilities, in numpy, for runtimes that compute it outside."""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.description import ModelDescription


def probabilities(about: ModelDescription, answers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Temperature, head, choice of the class; of maps also margins cut and cells pooled.

    Args:
        about: The model.
        answers: float32 ``(n, units)``, or of maps ``(n, units, rows, columns)``.

    Returns:
        ``(n, *answer)`` with :attr:`~wsi_pipeline.model.description.ModelDescription.answer`.

    Raises:
        ValueError: the answers have not the shape that the description says.
    """
    if answers.ndim != (2 if about.map is None else 4) or answers.shape[1] != about.units:
        raise ValueError(f"it answers with {list(answers.shape)} numbers, not as model.yaml says")
    value = answers.astype(np.float64)
    if about.activation != "none":
        value /= about.calibration.temperature
    if about.activation == "sigmoid":
        value = 1 / (1 + np.exp(-value))
    if about.activation == "softmax":
        value = np.exp(value - value.max(axis=1, keepdims=True))
        value /= value.sum(axis=1, keepdims=True)
    if about.map is not None:
        inside = inside_margins(about, answers.shape[2], answers.shape[3])
        value = _pooled(value[:, :, inside, inside], about.map.pool)
    classes = about.classification
    if classes.task == "binary":
        value = value[:, classes.names.index(classes.positive) if about.units == 2 else 0]
    return value.astype(np.float32)


def inside_margins(about: ModelDescription, rows: int, columns: int) -> slice:
    """The rows, and the columns, of a map that lie inside the margins.

    Without padding of its own a network answers for the middle of its input only: what is missing
    at each side belongs to the margin.

    Args:
        about: The model.
        rows: Of the map.
        columns: Of the map.

    Raises:
        ValueError: the map does not fit the stride and the margin that are stated.
    """
    assert about.map is not None  # it is for maps
    stride, margin = about.map.stride_px, about.map.margin_px
    lost = about.input_px - rows * stride
    cut = margin - lost // 2
    if rows != columns or lost < 0 or lost % 2 or cut < 0 or cut % stride:
        raise ValueError(
            f"it answers with a map of {rows} × {columns} for {about.input_px} px, which a stride "
            f"of {stride} px and a margin of {margin} px do not fit; correct model.yaml"
        )
    return slice(cut // stride, rows - cut // stride)


def _pooled(value: NDArray[np.float64], pool: int) -> NDArray[np.float64]:
    if pool == 1:
        return value
    *rest, rows, columns = value.shape
    blocks = value.reshape(*rest, rows // pool, pool, columns // pool, pool)
    mean: NDArray[np.float64] = blocks.mean(axis=(-3, -1))
    return mean
