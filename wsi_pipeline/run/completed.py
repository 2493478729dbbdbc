"""Answers for all tiles: the model's, and beside them what its screen says of the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.run.screening import Screening
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.stitch.cells import Cells, with_screened


@dataclass(frozen=True, slots=True)
class Completed:
    """Answers for all tiles of tissue, those that the model was not asked about too.

    Attributes:
        cells: The outcome per cell; screened ones have the bound as their probability.
        probabilities: Of each tile, ``(n, ...)`` in the whole plan's order; likewise.
        extras: What was computed beside, by name, ``(n,)``; NaN of screened tiles.
    """

    cells: Cells
    probabilities: NDArray[np.float32]
    extras: dict[str, NDArray[np.float32]]


def complete(screening: Screening | None, cells: Cells, answers: TileProbabilities) -> Completed:
    """Put what the screen says beside what the model says.

    Args:
        screening: None where there was none.
        cells: Stitched from the model's answers.
        answers: The model's.
    """
    bound = None if screening is None else screening.record.bound
    if screening is None or bound is None or not screening.record.screened:
        return Completed(cells, answers.probabilities, answers.extras)
    return Completed(
        with_screened(cells, bound),
        screening.spread(answers.probabilities, bound),
        {name: screening.spread(values, np.nan) for name, values in answers.extras.items()},
    )
