"""Other amounts of the same stains: what training varies its patches by.

Tellez et al. 2018 (IEEE Transactions on Medical Imaging 37:2126): the amount of each stain becomes
``c' = a c + b`` with its own ``a`` and ``b``. In optical densities that is one affine step, as the
normalisation is.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.stain.appearance import Appearance, StainMatrix
from wsi_pipeline.stain.density import RUIFROK

#: NumPy's arrays, and torch's tensors, which only training has.
_Array = TypeVar("_Array", bound=Any)


def three_stains(target: Appearance | None) -> NDArray[np.float64]:
    """Directions whose amounts are varied, unit vectors ``(3, 3)``.

    Args:
        target: What patches are normalised to: its own two stains and what they leave, which is
            across both. None, or one without stains: those of Ruifrok and Johnston.
    """
    if not isinstance(target, StainMatrix):
        return RUIFROK
    left = np.cross(*target.directions)
    return np.vstack([target.directions, left / np.linalg.norm(left)])


def density_change(
    scale: _Array, shift: _Array, stains: _Array, unmix: _Array
) -> tuple[_Array, _Array]:
    """What densities are multiplied by, and what is added to them.

    Args:
        scale: Factors ``a`` of the stains, ``(n, 3)``.
        shift: Shifts ``b`` of the same.
        stains: Their directions, ``(3, 3)``.
        unmix: The inverse of those.

    Returns:
        ``(n, 3, 3)`` and ``(n, 3)``: ``density' = density @ matrix + added``.
    """
    return unmix @ (scale[:, :, None] * stains), shift @ stains
