"""A whole evaluation: every slide assessed, every figure of every group of slides."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

from wsi_pipeline.cohort.table import Cohort, Label
from wsi_pipeline.errors import WsiError
from wsi_pipeline.evaluation.assessment import Assessment, assess
from wsi_pipeline.evaluation.cases import Case, Pairing
from wsi_pipeline.evaluation.class_level import class_level
from wsi_pipeline.evaluation.json_metrics import Json, number
from wsi_pipeline.evaluation.lesion_level import lesion_level
from wsi_pipeline.evaluation.patch_level import patch_level
from wsi_pipeline.evaluation.segmentation import segmentation
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.evaluation.slide_level import slide_level
from wsi_pipeline.evaluation.stages import staging
from wsi_pipeline.stitch.record import to_plain

FORMAT = 1
NOTICE = "Research use only – not for diagnosis"

#: Told of what is done and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome.

    Attributes:
        metrics: Every number, as JSON.
        slides: Of those that could be assessed, in the table's order.
        failed: Why others could not, by name.
    """

    metrics: Json
    slides: tuple[Assessment, ...]
    failed: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether every slide of the split is in it."""
        return not self.failed and not any(self.metrics["missing"].values())


def evaluate(
    cohort: Cohort,
    pairing: Pairing,
    settings: EvaluationSettings,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Assess every slide of a pairing and compute every figure.

    A slide whose result or truth is bad is named among the failed and stops nothing.

    Memory: tiles' positions and probabilities of all slides, 21 bytes each; and
    ``workers`` slides at a time.

    Args:
        cohort: The table.
        pairing: What belongs together.
        settings: Rules, thresholds and seeds.
        workers: Slides assessed at once; None: one per core, at most 4.
        progress: Told what is done.

    Raises:
        UsageError: stages were asked for and no patient can be staged.
    """
    slides: list[Assessment] = []
    failed: dict[str, str] = {}
    count = len(pairing.cases)
    threads = workers or min(4, len(os.sched_getaffinity(0)))
    for done, (case, outcome) in enumerate(_assessed(pairing.cases, settings, threads), start=1):
        if isinstance(outcome, WsiError):
            failed[case.slide.name] = str(outcome)
        else:
            slides.append(outcome)
        if progress is not None:
            progress(case.slide.name, done, count)
    groups = _groups(slides, pairing.trained)
    figures: dict[str, Json] = {}
    for done, (name, members) in enumerate(groups.items(), start=1):
        figures[name] = _figures(members, settings)
        if progress is not None:
            progress("figures", done, len(groups))
    metrics = {
        "format": FORMAT,
        "notice": NOTICE,
        "program": f"wsi-pipeline {metadata.version('wsi-pipeline')}",
        "synthetic": any(_synthetic(slide) for slide in slides),
        "models": _models(slides),
        "positive": _positive(slides),
        "cohort": {
            "table": None if cohort.source is None else cohort.source.name,
            "split": pairing.split,
            "slides": len(slides),
            "tumour": sum(s.positive is True for s in slides),
            "normal": sum(s.positive is False for s in slides),
            "unknown": sum(s.positive is None for s in slides),
            "synthetic": sum(s.synthetic for s in slides),
            "patients": len({s.slide.patient_key for s in slides}),
            "trained_centres": sorted(pairing.trained),
        },
        "missing": {kind: list(names) for kind, names in pairing.missing.items()},
        "aside": {kind: list(names) for kind, names in pairing.aside.items()},
        "failed": failed,
        "settings": settings.to_json(),
        "headline": _headline(figures["all"]),
        "groups": figures,
        "classes": class_level(slides, settings),
        "stages": staging(slides, settings) if settings.stages else None,
        "slides": [_row(s) for s in slides],
    }
    return Evaluation(metrics, tuple(slides), failed)


def notices(metrics: Json) -> list[str]:
    """What must be said of the models, each with its name, once."""
    told = (
        f"{model['name']} {model['version']}: {model['notice']}"
        for model in metrics["models"]
        if model["notice"]
    )
    return list(dict.fromkeys(told))


def _assessed(
    cases: Sequence[Case], settings: EvaluationSettings, threads: int
) -> Iterator[tuple[Case, Assessment | WsiError]]:
    """Assessments in the order of the cases; a few at a time are on their way."""

    def one(case: Case) -> Assessment | WsiError:
        try:
            return assess(case, settings)
        except WsiError as error:
            return error

    with ThreadPoolExecutor(threads, thread_name_prefix="assess") as pool:
        coming: deque[tuple[Case, Future[Assessment | WsiError]]] = deque()
        for case in cases:
            coming.append((case, pool.submit(one, case)))
            if len(coming) > threads:
                first, future = coming.popleft()
                yield first, future.result()
        for first, future in coming:
            yield first, future.result()


def _groups(
    slides: Sequence[Assessment], trained: frozenset[str]
) -> dict[str, Sequence[Assessment]]:
    """Slides by centre and by kind of metastasis; with those of a kind go the normal ones."""
    groups: dict[str, Sequence[Assessment]] = {"all": slides}
    centres = sorted({s.slide.centre for s in slides if s.slide.centre})
    groups |= {f"centre {c}": [s for s in slides if s.slide.centre == c] for c in centres}
    if trained:
        inside = [s for s in slides if s.slide.centre in trained]
        outside = [s for s in slides if s.slide.centre and s.slide.centre not in trained]
        groups |= {name: part for name, part in (
            ("within the training centres", inside),
            ("across to other centres", outside),
        ) if part}  # fmt: skip
    kinds: tuple[Label, ...] = ("macro", "micro", "itc")
    for kind in kinds:
        if any(s.kind == kind for s in slides):
            groups[kind] = [s for s in slides if s.kind == kind or s.positive is False]
    return groups


def _figures(slides: Sequence[Assessment], settings: EvaluationSettings) -> Json:
    return {
        "slides": len(slides),
        "tumour": sum(s.positive is True for s in slides),
        "normal": sum(s.positive is False for s in slides),
        "slide_level": slide_level(slides, settings),
        "lesion_level": lesion_level(slides, settings),
        "segmentation": segmentation(slides, settings),
        "patch_level": patch_level(slides, settings),
    }


def _headline(figures: Json) -> Json:
    """The few numbers people ask for first, each with its interval; null where there is none."""
    slide, lesion = figures["slide_level"], figures["lesion_level"]
    patch, masks = figures["patch_level"], figures["segmentation"]
    return {
        "slide_auc": slide and slide["auc"],
        "froc": lesion and lesion["froc"],
        "dice": masks and masks["dice"]["mean"],
        "iou": masks and masks["iou"]["mean"],
        "patch_auc": patch and patch["auc"],
        "patch_recall": patch and patch["recall"],
        "patch_precision": patch and patch["precision"],
        "patch_accuracy": patch and patch["accuracy"],
        "majority_baseline_accuracy": patch and patch["majority_baseline"]["accuracy"],
        "expected_calibration_error": patch and patch["calibration"]["expected_calibration_error"],
        "tumour_not_analysed": masks and masks["not_analysed"]["share"],
    }


def _row(slide: Assessment) -> Json:
    """What is known of one slide, as JSON."""
    overlap, met, tiles = slide.overlap, slide.hits, slide.tiles
    return {
        "slide": slide.slide.name,
        "patient": slide.slide.patient,
        "centre": slide.slide.centre,
        "label": slide.slide.label,
        "annotation": slide.slide.annotated,
        "positive": slide.positive,
        "kind": slide.kind,
        "kind_from": slide.kind_from,
        "predicted_kind": slide.predicted,
        "score": slide.score,
        "threshold": slide.slide_threshold,
        "detections": None if slide.detections is None else len(slide.detections),
        "lesions": None if met is None else met.counted,
        "isolated_tumour_cells": None if met is None else int(met.itc.sum()),
        "found": None if met is None else int((met.lesions > 0).sum()),
        "false_positives": None if met is None else len(met.false_positives),
        "lesion_extents_um": [round(extent, 1) for extent in slide.extents_um],
        "lesion_scores": None if met is None else met.lesions.tolist(),
        "dice": number(overlap.dice) if overlap and slide.positive else None,
        "iou": number(overlap.iou) if overlap and slide.positive else None,
        "tumour_mm2": None if overlap is None else round(overlap.tumour * overlap.px_mm2, 6),
        "mask_mm2": None if overlap is None else round(overlap.mask * overlap.px_mm2, 6),
        "tumour_not_analysed": None if overlap is None else number(overlap.unseen_share),
        "tiles": None if tiles is None else len(tiles.tumour),
        "tumour_tiles": None if tiles is None else int(tiles.tumour.sum()),
        "notes": slide.notes,
    }


def _synthetic(slide: Assessment) -> bool:
    return slide.synthetic or (slide.origin is not None and slide.origin[1].model.synthetic)


def _positive(slides: Sequence[Assessment]) -> str:
    """The class that the results are of; tumour where they are of several, or there is none."""
    found = {slide.origin[1].classes.positive for slide in slides if slide.origin is not None}
    # An encoder's slide-level answer has no class of its cells.
    return (found.pop() if len(found) == 1 else "") or "tumour"


def _models(slides: Sequence[Assessment]) -> list[Json]:
    """The models the results are of; more than one is worth a second look."""
    models: dict[str, Json] = {}
    for slide in slides:
        if slide.origin is None:
            continue
        model, grid = slide.origin[1].model, slide.origin[1].grid
        entry = models.setdefault(
            f"{model.sha256} {slide.threshold}",
            {
                "name": model.name,
                "version": model.version,
                "sha256": model.sha256,
                "synthetic": model.synthetic,
                "notice": model.notice,
                "threshold": slide.threshold,
                "mpp": to_plain(grid.mpp),
                "patch_px": grid.patch_px,
                "stride_px": grid.stride_px,
                "slides": 0,
            },
        )
        entry["slides"] += 1
    return list(models.values())
