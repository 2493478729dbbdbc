"""What all detectors say of the tiles of a plan."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Mpp, PerAxis
from wsi_pipeline.quality import bubbles, focus, folds, gaps, pen
from wsi_pipeline.quality.reasons import (
    FACTS,
    NOT_LOOKED_AT,
    Reason,
    count_reasons,
    is_marked,
)
from wsi_pipeline.quality.shares import cell_shares, touched
from wsi_pipeline.quality.view import CoarseView, choose_source, read_coarse
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.tiles.plan import Plan

#: Named in records; changes when the same slide would get other marks.
METHOD = "wsi-pipeline quality 1"
#: Share of a tile's area from which it has a reason.
SHARE: dict[Reason, float] = {
    Reason.BLUR: 0.25,
    Reason.PEN: 0.25,
    Reason.FOLD: 0.25,
    Reason.BUBBLE: 0.3,
    Reason.OUT_OF_FOCUS: 0.25,
    Reason.GAP: 0.15,
}
#: µm per px that focus is measured at, and the coarsest that will do.
_FOCUS_UM = (1.0, 1.31)


@dataclass(frozen=True)
class Assessment:
    """The quality of a plan's tiles.

    Attributes:
        reasons: Bits of :class:`~wsi_pipeline.quality.reasons.Reason` of each tile, in plan order,
            uint8 ``(n,)``; 255 = no detector looked.
        focus: log2 of the energy at 1 over that at 4 µm/px, the slide's median; None where it
            could not be measured.
        notes: What was not looked at, and why, in words.
        masks: Where each reason is: a mask and level-0 px along x and y per px of it.
        view: The coarse picture; None where there is none.
    """

    reasons: NDArray[np.uint8]
    focus: float | None
    notes: tuple[str, ...]
    masks: dict[Reason, tuple[NDArray[np.bool_], PerAxis]]
    view: CoarseView | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Tiles that have each reason, by its key."""
        return count_reasons(self.reasons)

    @property
    def share(self) -> float:
        """Share of the tiles that have any reason, 0-1."""
        return float(is_marked(self.reasons).mean()) if len(self.reasons) else 0.0


def thresholds() -> dict[str, Any]:
    """Every bound the marks depend on, by detector."""
    return {
        "share": {FACTS[one].key: limit for one, limit in SHARE.items()},
        "pen": asdict(pen.LIMITS),
        "fold": asdict(folds.LIMITS),
        "bubble": asdict(bubbles.LIMITS),
        "gap": asdict(gaps.LIMITS),
        "focus": asdict(focus.LIMITS),
    }


@dataclass(frozen=True)
class CoarseMarks:
    """What is seen in the coarse picture, wherever tiles are.

    Attributes:
        masks: Where each reason is, as of :class:`Assessment`.
        view: The picture; None where there is none.
        note: What was not looked for, and why, in words; empty if all was.
    """

    masks: dict[Reason, tuple[NDArray[np.bool_], PerAxis]]
    view: CoarseView | None
    note: str = ""


def look_coarsely(reader: SlideReader, mpp_0: Mpp, *, threads: int = 2) -> CoarseMarks:
    """Look for pen, folds, bubbles and gaps; needs no plan.

    Memory: about 45 bytes per px of the coarse picture, at most 6 million.

    Args:
        reader: The slide.
        mpp_0: µm per level-0 px.
        threads: Threads that read.
    """
    try:
        view = read_coarse(reader, mpp_0, threads)
    except DamagedSlideError as error:
        view = f"the coarse level cannot be decoded ({error.cause})"
    if isinstance(view, str):
        note = f"pen, folds, bubbles and gaps were not looked for: {view}"
        return CoarseMarks({}, None, note)
    return CoarseMarks({reason: (mask, view.px_0) for reason, mask in _find(view)}, view)


def assess(
    reader: SlideReader, plan: Plan, *, threads: int = 2, coarse: CoarseMarks | None = None
) -> Assessment:
    """Look at every tile of a plan.

    The coarse level is read as a whole, the finer one where tiles are. What cannot be looked at
    is said in the notes; nothing but a broken machine makes this fail.

    Memory: that of :func:`look_coarsely`, and some MB a thread.

    Args:
        reader: The slide.
        plan: Its tiles.
        threads: Threads that read.
        coarse: What :func:`look_coarsely` found; None: it is asked here.
    """
    if not len(plan):
        return Assessment(np.zeros(0, np.uint8), None, (), {})
    coarse = coarse or look_coarsely(reader, plan.grid.mpp_0, threads=threads)
    masks, notes, median = dict(coarse.masks), [coarse.note] if coarse.note else [], None
    found = _focus(reader, plan, threads)
    if isinstance(found, str):
        notes.append(f"focus was not looked at: {found}")
    else:
        masks[Reason.BLUR] = (found.blurred & ~found.wide, found.px_0)
        masks[Reason.OUT_OF_FOCUS] = (found.wide, found.px_0)
        median = found.median
        if found.unreadable:
            notes.append(f"focus of {found.unreadable} parts of the slide cannot be decoded")
    return Assessment(_reasons(plan, masks), median, tuple(notes), masks, coarse.view)


def _find(view: CoarseView) -> Iterator[tuple[Reason, NDArray[np.bool_]]]:
    """What is seen in the coarse picture.

    What is derived from it, 24 bytes per px, is kept while it is of use only: by a copy.
    """
    view = replace(view)
    ink = pen.find_pen(view)
    yield Reason.PEN, ink
    yield Reason.FOLD, folds.find_folds(view, ink)
    view.forget_means()
    yield Reason.BUBBLE, bubbles.find_bubbles(view, ink)
    yield Reason.GAP, gaps.find_gaps(view) & ~ink


def _focus(reader: SlideReader, plan: Plan, threads: int) -> focus.Focus | str:
    source = choose_source(reader.info, plan.grid.mpp_0, *_FOCUS_UM, decoded=2**63)
    if isinstance(source, str):
        return source
    wanted = touched(
        focus.block_shape(reader, source), focus.block_px_0(reader, source), plan.grid, plan.cells
    )
    return focus.measure_focus(reader, source, wanted, threads=threads)


def _reasons(
    plan: Plan, masks: dict[Reason, tuple[NDArray[np.bool_], PerAxis]]
) -> NDArray[np.uint8]:
    if not masks:
        return np.full(len(plan), NOT_LOOKED_AT, np.uint8)
    reasons = np.zeros(len(plan), np.uint8)
    for reason, (mask, px_0) in masks.items():
        shares = cell_shares(mask, px_0, plan.grid, plan.cells)
        reasons[shares >= SHARE[reason]] |= np.uint8(reason)
    return reasons
