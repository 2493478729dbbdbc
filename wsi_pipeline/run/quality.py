"""Quality control in a run: tiles are marked, or left out where that does not go too far."""

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.quality.assessment import METHOD, CoarseMarks, assess, thresholds
from wsi_pipeline.quality.reasons import NOT_LOOKED_AT, is_marked
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.stitch.quality_record import QualityRecord
from wsi_pipeline.tiles.plan import Coverage, Plan


@dataclass(frozen=True, slots=True)
class Marks:
    """What quality control makes of a plan.

    Attributes:
        grid: Reasons of every tile of the grid, uint8 ``(rows, columns)`` of tiles; 255 = not
            looked at, as all that is not tissue.
        record: What a result says of it.
    """

    grid: NDArray[np.uint8]
    record: QualityRecord


def mark(
    reader: SlideReader,
    plan: Plan,
    analysis: AnalysisSettings,
    *,
    threads: int,
    coarse: "Future[CoarseMarks] | None" = None,
) -> Marks:
    """Look at every tile of a plan, and settle what is left out.

    Args:
        reader: The slide.
        plan: All tiles of tissue.
        analysis: Says whether tiles are marked or rejected, and up to which share.
        threads: Threads that read.
        coarse: Where marks are, which does not depend on the plan; None: it is asked here.
    """
    seen = None if coarse is None else coarse.result()
    found = assess(reader, plan, threads=threads, coarse=seen)
    marked = is_marked(found.reasons)
    rejecting = analysis.qc == "reject" and bool(marked.any())
    withheld = rejecting and found.share > analysis.qc_limit
    grid = np.full(plan.coverage.shape, NOT_LOOKED_AT, np.uint8)
    grid[plan.cells[:, 1], plan.cells[:, 0]] = found.reasons
    record = QualityRecord(
        method=METHOD,
        mode=analysis.qc,
        limit=analysis.qc_limit,
        tiles=len(plan),
        marked=int(marked.sum()),
        reasons=found.counts,
        rejected=int(marked.sum()) if rejecting and not withheld else 0,
        withheld=withheld,
        focus=found.focus,
        notes=found.notes,
        thresholds=thresholds(),
    )
    return Marks(grid, record)


def without_rejected(plan: Plan, marks: Marks) -> Plan:
    """The plan without the tiles that are left out."""
    if not marks.record.rejected:
        return plan
    marked = is_marked(marks.grid[plan.cells[:, 1], plan.cells[:, 0]])
    return plan.without(marked, Coverage.REJECTED)
