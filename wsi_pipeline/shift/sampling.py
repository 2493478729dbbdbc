"""What is measured of the few patches that are looked at closely."""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.shift.appearance import APPEARANCE, patch_appearance
from wsi_pipeline.shift.nuclei import nuclei_diameter

#: Numbers of a patch: its appearance, then the size of its nuclei in µm.
SAMPLE_VALUES = APPEARANCE + 1
#: Every so many patches have their nuclei measured, which takes longer than the rest.
NUCLEI_EVERY = 4


def sample_patch(patch: NDArray[np.uint8], mpp: float | None) -> NDArray[np.float32]:
    """Appearance of a patch, and the size of its nuclei.

    Args:
        patch: ``(height, width, 3)`` RGB.
        mpp: µm per px; None: nuclei are not measured.

    Returns:
        float32 ``(12,)``; NaN is unknown.
    """
    found = np.full(SAMPLE_VALUES, np.nan, np.float32)
    found[:APPEARANCE] = patch_appearance(patch)
    if mpp is not None and not np.isnan(found[0]):
        found[APPEARANCE] = nuclei_diameter(patch, mpp)
    return found
