"""One slide's stain without a model: how it is stained, and a field to show."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.grid import make_grid
from wsi_pipeline.run.checked_slide import check_slide
from wsi_pipeline.run.preparation import plan_tiles
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stain.appearance import Method, StainFit
from wsi_pipeline.tiles.patches import read_box
from wsi_pipeline.tiles.stain import fit_tissue

#: Of the field that is shown: px, and µm for each.
_FIELD_PX, _FIELD_MPP = 512, 0.5
#: Of the tiles whose stain is looked at: px at the same resolution.
_TILE_PX = 299


@dataclass(frozen=True, slots=True)
class StainView:
    """What was looked at.

    Attributes:
        fit: How it is stained.
        pixels: A part of it, ``(height, width, 3)`` RGB.
    """

    fit: StainFit
    pixels: NDArray[np.uint8]


def view_slide(path: Path, method: Method, analysis: AnalysisSettings) -> StainView:
    """How a slide's tissue is stained, and the field around the tile with most of it.

    Args:
        path: A slide file, or a folder of DICOM files.
        method: How it is found.
        analysis: Of which the tissue rule and the slide's resolution count.

    Raises:
        SlideError: something is wrong with the slide.
    """
    reader = check_slide(path, None, analysis).reader
    try:
        resolution = choose_resolution(
            reader.info, mpp=_FIELD_MPP, level=None, override=analysis.slide_mpp
        )
        grid = make_grid(reader.info, resolution, patch=_TILE_PX, stride=_TILE_PX)
        plan = plan_tiles(reader, grid, analysis)
        fit = fit_tissue(reader, plan, method)
        column, row = plan.cells[int(np.argmax(plan.tissue))].tolist() if len(plan) else (0, 0)
        x, y = grid.corner(column, row)
        step, around = grid.patch_side / grid.patch, (_FIELD_PX - _TILE_PX) / 2
        side = PerAxis(step.x * _FIELD_PX, step.y * _FIELD_PX)
        corner = x - around * step.x, y - around * step.y
        return StainView(fit, read_box(reader, grid.level, *corner, side, _FIELD_PX))
    finally:
        reader.close()
