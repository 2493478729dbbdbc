"""How a slide's tissue is stained, from a sample of its tiles at a coarse level.

Training and inference find it by this one function, so that a model is used on px made as those it
was trained on.
"""

import numpy as np

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.stain.appearance import Method, StainFit
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.tiles.patches import read_box
from wsi_pipeline.tiles.plan import Plan, spread
from wsi_pipeline.tissue.rule import tissue_mask

#: Tiles whose px are looked at, spread evenly over the plan.
_TILES = 64
#: µm per px at which they are: fine enough to tell nuclei (6-10 µm) from stroma, and 16 times fewer
#: px than at 0.5 µm.
_MPP = 2.0


def fit_tissue(reader: SlideReader, plan: Plan, method: Method) -> StainFit:
    """How the tissue of a slide is stained.

    Of 64 tiles of the plan, resampled to 2 µm/px (or as fine as they are analysed, if that is
    coarser) from the coarsest level that is fine enough, the px that are tissue. Tiles that cannot
    be read do not count. Nothing depends on the pyramid's levels but for their resampling.

    Args:
        reader: The slide.
        plan: Its tiles.
        method: How.
    """
    grid = plan.grid
    mpp = max(_MPP, grid.px_0.x * grid.mpp_0.x)
    levels = [one.downsample * grid.mpp_0.side for one in reader.info.levels]
    level = max((index for index, side in enumerate(levels) if side <= mpp), default=0)
    side = max(1, round(grid.patch_0.x * grid.mpp_0.x / mpp))
    chosen = plan.cells[spread(len(plan), _TILES)]
    parts = [np.empty((0, 3), np.uint8)]
    downsample = reader.info.levels[level].downsample
    length = grid.patch_0 / downsample
    for x, y in (grid.corners_0(chosen) / downsample).tolist():
        try:
            pixels = read_box(reader, level, x, y, length, side)
        except DamagedSlideError:
            continue
        parts.append(pixels[tissue_mask(pixels)])
    return fit_stain(method, np.concatenate(parts))
