"""The colour of a slide's tissue, by which the screen knows stains.

It is the direction of the mean optical density: how strongly a slide is stained and how thick it is
cut moves the length of that vector, which dyes and scanner made it moves the direction.
"""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.screen.view import MARGIN_PX, read_view
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.stain.density import DENSITY
from wsi_pipeline.tiles.plan import Plan, spread
from wsi_pipeline.tissue.rule import tissue_mask

#: Tiles that are looked at, spread evenly over the tissue.
_SAMPLED = 96


def tissue_colour(reader: SlideReader, plan: Plan, level: int) -> NDArray[np.float64] | None:
    """Direction of the mean optical density (R, G, B) of the tissue px of some tiles.

    Args:
        reader: The slide.
        plan: Its tiles.
        level: :func:`~wsi_pipeline.screen.view.coarse_level`.

    Returns:
        A vector of length 1, ``(3,)``; None where no px of tissue could be read.
    """
    inside = slice(MARGIN_PX, -MARGIN_PX)
    total, count = np.zeros(3), 0
    for column, row in plan.cells[spread(len(plan), _SAMPLED)]:
        try:
            view = read_view(reader, plan.grid, level, int(column), int(row))[inside, inside]
        except DamagedSlideError:
            continue
        tissue = view[tissue_mask(view)]
        total += DENSITY[tissue].sum(axis=0, dtype=np.float64)
        count += len(tissue)
    return total / np.linalg.norm(total) if count else None
