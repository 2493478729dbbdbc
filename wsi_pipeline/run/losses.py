"""Tissue tiles that cannot be read, up to the share that the settings accept."""

from pathlib import Path

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.tiles.plan import Plan


class Losses:
    """Counts tissue tiles that cannot be read, and gives up when they are too many.

    Args:
        path: The slide.
        plan: Its tiles.
        analysis: Says which share may be lost.
    """

    def __init__(self, path: Path, plan: Plan, analysis: AnalysisSettings) -> None:
        self._path = path
        self._tissue = len(plan) + len(plan.unreadable)
        self._allowed = analysis.allow_unreadable
        self._lost = 0

    def add(self, lost: int, reason: str) -> None:
        """Count tiles.

        Raises:
            DamagedSlideError: more are lost than the settings allow.
        """
        self._lost += lost
        if self._lost > self._allowed * self._tissue:
            share = self._lost / self._tissue
            raise DamagedSlideError(
                self._path,
                f"tissue cannot be read ({reason or 'undecodable tile'}); at least "
                f"{self._lost:,} of {self._tissue:,} tissue tiles are lost, --allow-unreadable "
                f"{share:.2g} or more would accept that",
            )
