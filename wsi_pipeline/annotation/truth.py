"""The interface every kind of ground truth meets: outlines and masks alike."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import PerAxis

#: ``asap``: ASAP/CAMELYON XML. ``geojson``: QuPath's. ``ncrf``: NCRF's JSON. ``mask-N``: a mask
#: TIFF whose tumour px have the value N. ``mask-classes``: one whose values are numbers of classes
#: that it names, as `wsi synth --plant` writes it. Declared, never guessed from contents.
TruthKind = Literal["asap", "geojson", "ncrf", "mask-255", "mask-2", "mask-1", "mask-classes"]


class Truth(Protocol):
    """Where the tumour is on one slide."""

    @property
    def kind(self) -> TruthKind:
        """The format it was read from."""
        ...

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """Least x, least y, greatest x, greatest y of all tumour, level-0 px; None: no tumour."""
        ...

    def window(
        self, x: float, y: float, width: int, height: int, downsample: float | PerAxis
    ) -> NDArray[np.bool_]:
        """Where there is tumour in a window.

        Args:
            x: Left edge, level-0 px.
            y: Top edge, level-0 px.
            width: Columns of the window.
            height: Rows of the window.
            downsample: Level-0 px per px of the window, along both axes or along each.

        Returns:
            ``(height, width)``: px ``[j, i]`` is True if its centre, level-0
            ``(x + (i + 0.5) * downsample.x, y + (j + 0.5) * downsample.y)``, lies in tumour.
            Beyond the slide there is none.

        Raises:
            AnnotationError: what is needed of the file cannot be decoded.
        """
        ...
