"""How far a model's answers for the eight orientations of a tile are apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.orientations import ORIENTATIONS
from wsi_pipeline.run.tile_values import TileExtra
from wsi_pipeline.stitch.spread_record import SpreadRecord

#: Column of tiles, as the result's array is called.
SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class OrientationSpread:
    """The last column of :class:`~wsi_pipeline.model.orientations.OrientedPredictor`.

    A :class:`~wsi_pipeline.run.tile_values.TileExtra`.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`~wsi_pipeline.run.tile_values.TileExtra`."""
        return (SPREAD,)

    def compute(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`~wsi_pipeline.run.tile_values.TileExtra`."""
        return answers[:, -1:]


def spread_extras(
    analysis: AnalysisSettings, description: ModelDescription
) -> tuple[TileExtra, ...]:
    """What is kept of each tile beside its answer; nothing of maps, which have no one answer."""
    wanted = analysis.tta and description.map is None
    return (OrientationSpread(),) if wanted else ()


def summarise_spread(
    analysis: AnalysisSettings, spread: NDArray[np.float32] | None
) -> SpreadRecord | None:
    """What a result says of it; None where every tile was looked at once.

    Args:
        analysis: The settings.
        spread: Of the tiles, NaN = unreadable; None of maps.
    """
    if not analysis.tta:
        return None
    known = np.empty(0) if spread is None else spread[~np.isnan(spread)].astype(np.float64)
    if not known.size:
        return SpreadRecord(orientations=ORIENTATIONS)
    return SpreadRecord(
        orientations=ORIENTATIONS,
        mean=round(float(known.mean()), 6),
        quantile_95=round(float(np.quantile(known, 0.95)), 6),
    )
