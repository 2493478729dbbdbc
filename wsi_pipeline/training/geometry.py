"""How training images are turned, enlarged and sheared; drawn here, computed in ``augment``."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.training.recipe_sections import Augmentation


def drawn_placement(
    vary: Augmentation, count: int, seed: Sequence[int]
) -> NDArray[np.float32] | None:
    """Affine matrices that lead from a place in the new image to the one it is taken from.

    Args:
        vary: The largest rotation, zoom and shear.
        count: Of the images.
        seed: Of the random numbers.

    Returns:
        ``(count, 2, 2)`` float32, about the middle of the image; None where nothing is varied.
    """
    if not (vary.rotation or vary.zoom or vary.shear):
        return None
    turn, zoom, lean = np.random.default_rng(list(seed)).uniform(-1, 1, (3, count))
    angle, slope = np.deg2rad(turn * vary.rotation), np.tan(np.deg2rad(lean * vary.shear))
    # By a factor between 1 - zoom and 1 / (1 - zoom), as often smaller as larger.
    scale = (1 - vary.zoom) ** zoom
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[np.ones(count), slope], [np.zeros(count), np.ones(count)]])
    matrices = np.einsum("ijn,jkn->nik", rotation, shear) * scale[:, None, None]
    return np.asarray(matrices, np.float32)
