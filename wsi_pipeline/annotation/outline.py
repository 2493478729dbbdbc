"""Truth drawn as outlines."""

from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from wsi_pipeline.annotation.scanline import Edges, fill
from wsi_pipeline.annotation.shapes import Area
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.geometry import PerAxis


@dataclass(frozen=True)
class OutlineTruth:
    """A :class:`~wsi_pipeline.annotation.truth.Truth` of polygons.

    Attributes:
        kind: The format they were read from.
        geometry: All tumour, exclusions cut out; valid polygons in level-0 px.
        notes: What was left out of it, and why.
    """

    kind: TruthKind
    geometry: Area
    notes: tuple[str, ...] = ()
    _edges: Edges = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_edges", Edges.of(self.geometry))

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """See :attr:`Truth.bounds`."""
        if self.geometry.is_empty:
            return None
        left, top, right, bottom = shapely.bounds(self.geometry).tolist()
        return left, top, right, bottom

    @property
    def edges(self) -> Edges:
        """The outlines' edges."""
        return self._edges

    def window(
        self, x: float, y: float, width: int, height: int, downsample: float | PerAxis
    ) -> NDArray[np.bool_]:
        """See :meth:`Truth.window`; exact at every scale."""
        box, px_0 = self.bounds, PerAxis.of(downsample)
        right, bottom = x + width * px_0.x, y + height * px_0.y
        if box is None or x > box[2] or y > box[3] or right < box[0] or bottom < box[1]:
            return np.zeros((height, width), np.bool_)
        return fill(self._edges, x, y, width, height, px_0)
