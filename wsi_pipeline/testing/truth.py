"""A ground truth for tests: boxes whose px anybody can count."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.geometry import PerAxis


@dataclass(frozen=True, slots=True)
class BoxTruth:
    """A :class:`~wsi_pipeline.annotation.truth.Truth` of boxes.

    Attributes:
        boxes: x, y, width and height of each, level-0 px.
        kind: What it says it was read from.
    """

    boxes: tuple[tuple[float, float, float, float], ...]
    kind: TruthKind = "geojson"

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """See :attr:`Truth.bounds`."""
        if not self.boxes:
            return None
        return (
            min(x for x, _, _, _ in self.boxes),
            min(y for _, y, _, _ in self.boxes),
            max(x + width for x, _, width, _ in self.boxes),
            max(y + height for _, y, _, height in self.boxes),
        )

    def window(
        self, x: float, y: float, width: int, height: int, downsample: float | PerAxis
    ) -> NDArray[np.bool_]:
        """See :meth:`Truth.window`."""
        px_0 = PerAxis.of(downsample)
        across = x + (np.arange(width) + 0.5) * px_0.x
        down = y + (np.arange(height) + 0.5) * px_0.y
        found = np.zeros((height, width), np.bool_)
        for left, top, wide, high in self.boxes:
            rows = (down >= top) & (down < top + high)
            found |= rows[:, None] & (across >= left) & (across < left + wide)
        return found
