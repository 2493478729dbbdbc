"""The screen's answer for every tile of a plan."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.screen.network import Screen
from wsi_pipeline.screen.view import BLOCK_TILES, Block, blocks, read_view
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.plan import Plan


def score_tiles(
    reader: SlideReader, plan: Plan, level: int, screen: Screen, *, threads: int
) -> NDArray[np.float32]:
    """A logit of each tile, float32 ``(n,)`` in plan order; NaN where the level is unreadable.

    Memory: a block of 288 × 288 px for each thread.

    Args:
        reader: The slide.
        plan: The tiles, side by side.
        level: :func:`~wsi_pipeline.screen.view.coarse_level`.
        screen: The network.
        threads: That read and compute.
    """
    scores = np.full(len(plan), np.nan, np.float32)

    def score(block: Block) -> None:
        try:
            picture = read_view(reader, plan.grid, level, block.column, block.row, BLOCK_TILES)
        except DamagedSlideError:
            return
        columns, rows = (plan.cells[block.tiles] - (block.column, block.row)).T
        scores[block.tiles] = screen.logits(picture)[rows, columns]

    with ThreadPoolExecutor(threads, thread_name_prefix="screen") as pool:
        list(pool.map(score, blocks(plan.cells)))
    return scores
