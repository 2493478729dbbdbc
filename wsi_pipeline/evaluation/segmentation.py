"""Segmentation: how far masks and annotations agree, and what was never looked at."""

from collections.abc import Sequence

import numpy as np

from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.json_metrics import Json, Values, estimate, number, redraw, shares
from wsi_pipeline.evaluation.overlap import Overlap
from wsi_pipeline.evaluation.settings import EvaluationSettings


def segmentation(every: Sequence[Assessment], settings: EvaluationSettings) -> Json | None:
    """Dice and IoU of fully annotated slides with tumour; false area on slides without.

    ``mean`` is over slides, each as important; ``pooled`` is of all px together. None where no
    slide has a mask and a full annotation.
    """
    slides = [s for s in every if s.overlap is not None]
    if not slides:
        return None
    tumour = [s for s in slides if s.positive]
    normal = [s for s in slides if not s.positive]
    return {
        "slides": len(tumour),
        "dice": _agreement(tumour, settings, "dice"),
        "iou": _agreement(tumour, settings, "iou"),
        "normal_slides": len(normal),
        "normal_slides_without_any": sum(_overlap(s).mask == 0 for s in normal),
        "false_mm2_per_normal_slide": _false_area(normal, settings),
        "not_analysed": unseen(tumour, settings),
        "quality": under_marks(tumour),
    }


def unseen(slides: Sequence[Assessment], settings: EvaluationSettings) -> Json:
    """True tumour in cells that were not classified: lost to the tissue rule, above all."""
    overlaps = [_overlap(s) for s in slides]
    tumour = np.array([o.tumour * o.px_mm2 for o in overlaps])
    lost = np.array([sum(o.unseen.values()) * o.px_mm2 for o in overlaps])
    drawn = redraw(slides, settings)
    reasons: dict[str, float] = {}
    for overlap in overlaps:
        for reason, px in overlap.unseen.items():
            reasons[reason] = reasons.get(reason, 0.0) + px * overlap.px_mm2
    total = float(tumour.sum())
    per_reason = {
        reason: number(area / total) if total else None for reason, area in reasons.items()
    }
    whole = float(lost.sum() / total) if total else float("nan")
    return {
        "share": estimate(whole, shares(drawn @ lost, drawn @ tumour)),
        "tumour_mm2": total,
        "lost_mm2": float(lost.sum()),
        "tissue_rule_share": per_reason.get("glass"),
        "by_reason": per_reason,
        "worst_slide": number(
            float(max((_overlap(s).unseen_share for s in slides), default=np.nan))
        ),
    }


def under_marks(slides: Sequence[Assessment]) -> Json | None:
    """True tumour in cells that quality control marks: what rejecting them costs, by reason.

    None where quality control looked at no slide.
    """
    overlaps = [o for o in map(_overlap, slides) if o.marked]
    if not overlaps:
        return None
    areas: dict[str, float] = {}
    for overlap in overlaps:
        for reason, px in overlap.marked.items():
            areas[reason] = areas.get(reason, 0.0) + px * overlap.px_mm2
    total = sum(o.tumour * o.px_mm2 for o in overlaps)
    return {
        "slides": len(overlaps),
        "tumour_mm2": total,
        "marked_mm2": areas["any"],
        "rejected_mm2": sum(o.unseen.get("rejected", 0) * o.px_mm2 for o in overlaps),
        "by_reason": {
            reason: number(area / total) if total else None for reason, area in areas.items()
        },
    }


def _agreement(slides: Sequence[Assessment], settings: EvaluationSettings, figure: str) -> Json:
    overlaps = [_overlap(s) for s in slides]
    values = np.array([getattr(o, figure) for o in overlaps], float)
    drawn = redraw(slides, settings)
    count = drawn.sum(axis=1)
    # In mm²: px of slides of other resolutions are of other sizes.
    areas = np.array([[o.both, o.tumour, o.mask] for o in overlaps], float).reshape(-1, 3)
    areas *= np.array([o.px_mm2 for o in overlaps], float).reshape(-1, 1)
    redrawn = drawn @ areas
    return {
        "mean": estimate(_mean(values), shares(drawn @ values, count)),
        "median": number(float(np.median(values))) if len(values) else None,
        "pooled": estimate(
            float(pooled(areas.sum(axis=0, keepdims=True), figure)[0]), pooled(redrawn, figure)
        ),
    }


def pooled(areas: Values, figure: str) -> Values:
    """Dice or IoU of areas that were added up first.

    Args:
        areas: What truth and mask have in common, truth, mask; ``(n, 3)``, mm².
        figure: ``dice``, else IoU.
    """
    both, tumour, mask = areas.T
    if figure == "dice":
        return shares(2 * both, tumour + mask)
    return shares(both, tumour + mask - both)


def _false_area(slides: Sequence[Assessment], settings: EvaluationSettings) -> Json:
    areas = np.array([_overlap(s).mask * _overlap(s).px_mm2 for s in slides], float)
    drawn = redraw(slides, settings)
    return estimate(_mean(areas), shares(drawn @ areas, drawn.sum(axis=1)))


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _overlap(slide: Assessment) -> Overlap:
    assert slide.overlap is not None
    return slide.overlap
