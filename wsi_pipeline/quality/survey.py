"""The quality of one slide without a model: its row of a table, and its picture with marks."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.grid import make_grid
from wsi_pipeline.quality.assessment import Assessment, assess
from wsi_pipeline.quality.reasons import FACTS, Reason, is_marked
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.slide.resolution import choose_resolution, slide_mpp
from wsi_pipeline.tiles.plan import Plan, make_plan

#: µm along a side of the tiles that are counted, and µm per px that their tissue is settled at.
_TILE_UM, _TISSUE_UM = 128.0, 0.5
_MIN_TISSUE = 0.3
#: Longer side of a slide's picture, px.
PICTURE_PX = 640
#: Share of the tissue up to which a slide is good.
GOOD = 0.05

Verdict = Literal["good", "look", "poor", "no tissue", "unknown", "failed"]


@dataclass(frozen=True, slots=True)
class SlideQuality:
    """A slide's row.

    Attributes:
        slide: As found.
        verdict: ``good`` (at most 5 % of the tissue is marked), ``look`` (more), ``poor`` (more
            than the limit), ``no tissue``, ``unknown`` (nothing could be looked at) or ``failed``.
        reason: Why it failed; empty otherwise.
        mpp: µm per level-0 px.
        width: Of level 0, px.
        height: Of level 0, px.
        tiles: Tiles of tissue, 128 µm along a side.
        tissue_mm2: Their area.
        marked: Share of them that is marked, 0-1.
        shares: Share of them that has each reason, by its key.
        focus: Median of log2 of the energy of detail at 1 over that at 4 µm/px.
        notes: What was not looked at, and oddities of the slide, in words.
    """

    slide: str
    verdict: Verdict
    reason: str = ""
    mpp: float | None = None
    width: int | None = None
    height: int | None = None
    tiles: int | None = None
    tissue_mm2: float | None = None
    marked: float | None = None
    shares: dict[str, float] = field(default_factory=dict)
    focus: float | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; :meth:`from_json` is the inverse."""
        return asdict(self) | {"notes": list(self.notes)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "SlideQuality":
        """Rebuild what :meth:`to_json` gave."""
        return cls(**{**told, "notes": tuple(told["notes"])})


def survey(
    path: Path,
    reader: SlideReader,
    *,
    limit: float,
    override: float | None = None,
    notes: tuple[str, ...] = (),
    threads: int = 2,
) -> tuple[SlideQuality, NDArray[np.uint8] | None]:
    """Look at a slide; returns its row and its picture with the marks, if there is one.

    Args:
        path: What the row calls it.
        reader: The open slide.
        limit: Share of the tissue above which the slide is poor.
        override: µm per level-0 px, in place of the file's.
        notes: What else is to be said of it.
        threads: Threads that read.

    Raises:
        SlideError: the slide states no resolution, or cannot be read.
    """
    mpp_0, oddities = slide_mpp(reader.info, override)
    mpp = max(_TISSUE_UM, mpp_0.side)
    resolution = choose_resolution(reader.info, mpp=mpp, level=None, override=override)
    side = max(1, round(_TILE_UM / resolution.mpp.side))
    grid = make_grid(reader.info, resolution, patch=side, stride=side)
    plan = make_plan(reader, grid, min_tissue=_MIN_TISSUE, exact=False, threads=threads)
    found = assess(reader, plan, threads=threads)
    tile_mm2 = (side * resolution.mpp.side / 1000) ** 2
    row = SlideQuality(
        slide=str(path),
        verdict=_verdict(plan, found, limit),
        mpp=round(mpp_0.side, 5),
        width=reader.info.size.width,
        height=reader.info.size.height,
        tiles=len(plan),
        tissue_mm2=round(len(plan) * tile_mm2, 3),
        marked=round(found.share, 4),
        shares={key: round(n / max(1, len(plan)), 4) for key, n in found.counts.items()},
        focus=found.focus,
        notes=(*notes, *(one for one in oddities if one not in notes), *found.notes),
    )
    return row, draw_marks(plan, found)


def _verdict(plan: Plan, found: Assessment, limit: float) -> Verdict:
    if not len(plan):
        return "no tissue"
    if not found.masks:
        return "unknown"
    if found.share > limit:
        return "poor"
    return "look" if found.share > GOOD else "good"


def draw_marks(plan: Plan, found: Assessment) -> NDArray[np.uint8] | None:
    """The slide with its marked tiles coloured: uint8 ``(h, w, 3)``; None without a picture."""
    if found.view is None:
        return None
    height, width = found.view.rgb.shape[:2]
    scale = min(1.0, PICTURE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.asarray(Image.fromarray(found.view.rgb).resize(size, Image.Resampling.BOX))
    out = picture.astype(np.float32)
    px = found.view.px_0 / scale
    step = plan.grid.cell_0 / px
    marked = is_marked(found.reasons)
    for (column, row), value in zip(plan.cells[marked], found.reasons[marked], strict=True):
        area = out[
            round(row * step.y) : max(round(row * step.y) + 1, round((row + 1) * step.y)),
            round(column * step.x) : max(round(column * step.x) + 1, round((column + 1) * step.x)),
        ]
        first = next(one for one in Reason if value & one)
        area[...] = 0.4 * area + 0.6 * np.asarray(FACTS[first].rgb, np.float32)
    return out.astype(np.uint8)
