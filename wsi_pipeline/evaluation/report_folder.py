"""The report's folder: numbers, page and detections, put in place when all are complete."""

import json
import shutil
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.detections import write_detections
from wsi_pipeline.evaluation.evaluation import Evaluation

METRICS, PAGE, DETECTIONS = "metrics.json", "report.html", "detections"
_DRAFT = ".report.new"


def check_folder(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written to.

    Raises:
        UsageError: it is a file, or holds a report that may not be replaced.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder for the report")
    if not overwrite:
        for name in (METRICS, PAGE, DETECTIONS):
            if (out / name).exists():
                raise UsageError(f"{out / name} already exists; pass --overwrite to replace it")


def write_folder(out: Path, evaluation: Evaluation, page: str, *, overwrite: bool = False) -> None:
    """Write ``report.html``, ``metrics.json`` and ``detections/NAME.csv`` of every slide.

    They are written beside and moved into place together, the numbers last; what else is in the
    folder stays.

    Raises:
        UsageError: see :func:`check_folder`.
    """
    check_folder(out, overwrite=overwrite)
    out.mkdir(parents=True, exist_ok=True)
    draft = out / _DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed here
    try:
        folder = draft / DETECTIONS
        folder.mkdir(parents=True)
        for slide in evaluation.slides:
            if slide.detections is not None:
                write_detections(slide.detections, folder / f"{slide.slide.name}.csv")
        numbers = json.dumps(evaluation.metrics, indent=1, ensure_ascii=False, allow_nan=False)
        (draft / PAGE).write_text(page, encoding="utf-8")
        (draft / METRICS).write_text(numbers + "\n", encoding="utf-8")
        durable.sync_tree(draft)
        (out / METRICS).unlink(missing_ok=True)  # of another report, while this one comes
        shutil.rmtree(out / DETECTIONS, ignore_errors=True)
        if any(folder.iterdir()):
            durable.publish_folder(folder, out / DETECTIONS)
        for name in (PAGE, METRICS):
            durable.put_in_place(draft / name, out / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
