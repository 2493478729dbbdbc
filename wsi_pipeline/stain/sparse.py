"""Vahadane's stains: a non-negative, sparse factorisation of optical densities.

``min ½ ‖V - C S‖² + λ ΣC`` with ``C, S ≥ 0`` and unit rows of ``S`` (Vahadane et al. 2016, IEEE
Transactions on Medical Imaging 35:1962, λ = 0.1): most px hold mainly one of the two stains.
Amounts and directions are found in turns: the amounts of two stains have a closed form, the
directions are moved one after the other as in Mairal et al. 2010 (Journal of Machine Learning
Research 11:19).
"""

import numpy as np
from numpy.typing import NDArray

#: Weight of the amounts, of densities as natural logarithms, as the paper has them.
_SPARSITY = 0.1
#: Px that are factorised, evenly taken: directions do not change with more.
_MOST_PX = 20_000
#: Turns, at most, and movement of a direction below which there are no more.
_TURNS, _STILL = 200, 1e-5


def sparse_stains(density: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """The two directions.

    Args:
        density: Of stained px, ``(n, 3)``, decimal logarithms.
        start: Directions to begin with, ``(2, 3)``.

    Returns:
        ``(2, 3)``, no number below 0.
    """
    values = density[:: -(-len(density) // _MOST_PX)] * np.log(10)
    stains = np.maximum(start, 1e-3)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    for _ in range(_TURNS):
        amounts = sparse_amounts(values, stains)
        products, gram = amounts.T @ values, amounts.T @ amounts
        moved = stains.copy()
        for index in range(2):
            if gram[index, index] <= 0:
                continue  # no px holds this stain: nothing says where it points
            step = (products[index] - gram[index] @ moved) / gram[index, index]
            row = np.maximum(moved[index] + step, 0)
            length = float(np.linalg.norm(row))
            if length > 0:
                moved[index] = row / length
        change, stains = float(np.abs(moved - stains).max()), moved
        if change < _STILL:
            break
    return stains


def sparse_amounts(
    density: NDArray[np.float64], stains: NDArray[np.float64], sparsity: float = _SPARSITY
) -> NDArray[np.float64]:
    """Amounts of two stains, least squares with a penalty, none below 0.

    The minimum over both lies where neither is 0, or else on one of the two axes.

    Args:
        density: ``(n, 3)``.
        stains: Unit directions ``(2, 3)``.
        sparsity: Weight of the amounts.

    Returns:
        ``(n, 2)``.
    """
    along = density @ stains.T - sparsity
    cosine = float(stains[0] @ stains[1])
    determinant = max(1 - cosine**2, 1e-9)
    both = (along - cosine * along[:, ::-1]) / determinant
    alone = np.maximum(along, 0)
    # On an axis the objective falls by half the square of the amount: the longer one is better.
    first = alone[:, 0] >= alone[:, 1]
    axis = np.stack([np.where(first, alone[:, 0], 0), np.where(first, 0, alone[:, 1])], axis=1)
    inside = np.all(both >= 0, axis=1, keepdims=True)
    found: NDArray[np.float64] = np.where(inside, both, axis)
    return found
