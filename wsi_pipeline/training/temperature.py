"""The temperature that calibrates a trained network's logits, from validation data alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

#: Temperatures that are considered; beyond, logits say nothing or everything.
_TEMPERATURES = (0.05, 20.0)


def fit_temperature(
    labels: NDArray[np.bool_] | NDArray[np.integer[Any]], logits: NDArray[np.float64]
) -> float:
    """The temperature that makes the likelihood of the labels largest (Guo et al. 2017).

    Args:
        labels: Numbers of the classes, ``(n,)``; of one logit whether the class is there.
        logits: Before any temperature, ``(n, classes)``; ``(n,)`` of one class, whose probability
            is their sigmoid.

    Returns:
        Rounded to few digits: what is written to ``model.yaml`` is what every runtime computes
        with.
    """
    # A sigmoid is the softmax of a logit and of 0.
    wide = logits if logits.ndim == 2 else np.stack([np.zeros(len(logits)), logits], axis=1)
    rows, columns = np.arange(len(labels)), labels.astype(np.int64)

    def loss(log_temperature: float) -> float:
        logarithms = log_softmax(wide / np.exp(log_temperature), axis=1)
        return float(-logarithms[rows, columns].mean())

    low, high = (float(np.log(bound)) for bound in _TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return round(float(np.exp(found.x)), 4)
