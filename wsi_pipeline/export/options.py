"""What exports are told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: Colours of the heatmap; all can be told apart by people with colour-vision deficiency.
Palette = Literal["viridis", "inferno", "cividis"]
#: ``255``: 255 is the class, 0 all else. ``class``: 0 not of it, 1 of it, 255 not analysed.
MaskValues = Literal["255", "class"]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What formats are told; each takes what concerns it.

    Attributes:
        threshold: Probability at and above which a cell is tumour; None takes the result's.
        overwrite: Whether a file of the same name is replaced.
        slide: The slide, for the tissue under the heatmap.
        palette: Colours of the heatmap.
        side: Longer side of the heatmap's picture of the slide, px.
        tiles: Whether the GeoJSON holds each tile, too.
        values: Values of the mask TIFF.
        of: The class that heatmap and mask TIFF show; None takes the positive one.
    """

    threshold: float | None = None
    overwrite: bool = False
    slide: Path | None = None
    palette: Palette = "viridis"
    side: int = 1600
    tiles: bool = False
    values: MaskValues = "255"
    of: str | None = None
