"""All of ``wsi train`` below its options."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from wsi_pipeline.cohort import Cohort
from wsi_pipeline.errors import UsageError
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.training.assemble import job_of_images, jobs_of_cohort
from wsi_pipeline.training.checkpoint import write_whole
from wsi_pipeline.training.device import choose_device, joined, repeatable, room_on
from wsi_pipeline.training.folders import check_free, discard, report_path
from wsi_pipeline.training.images import find_examples
from wsi_pipeline.training.initial_weights import check_start
from wsi_pipeline.training.loader import Loader
from wsi_pipeline.training.request import Order
from wsi_pipeline.training.run import Observer, Silence
from wsi_pipeline.training.session import Job, Place, train

#: Figures a cross-validation is summarised by.
_SUMMARISED = ("auc", "average_precision", "recall", "specificity", "accuracy", "precision", "f1")


def train_cohort(cohort: Cohort, order: Order, observer: Observer) -> dict[str, Any]:
    """Train from slides.

    Returns:
        The report; with folds, a summary that holds one report per fold.

    Raises:
        WsiError: it cannot be done as asked; nothing trained so far is lost.
    """
    if order.recipe.made_for == "images":
        raise UsageError(
            f"the recipe {order.recipe.name} is for single images: pass them with --images, or "
            "choose another recipe"
        )
    return _train(order, observer, lambda told: jobs_of_cohort(cohort, order, told))


def train_images(
    path: Path,
    order: Order,
    observer: Observer,
    *,
    labels: Path | None = None,
    positive: str | None = None,
    group_from: str | None = None,
    test_source: str | None = None,
    resize: bool = False,
) -> dict[str, Any]:
    """Train from single images.

    Args:
        path: See :func:`~wsi_pipeline.images.collection.read_collection`.
        order: What is asked for.
        observer: Is told.
        labels: See there.
        positive: See :func:`~wsi_pipeline.training.images.find_examples`.
        group_from: See there.
        test_source: See :func:`~wsi_pipeline.training.image_split.split_examples`.
        resize: Take the recipe's patch, also of a recipe that was made for slides; else its patch
            is as large as the images, where they are squares of one size.

    Raises:
        WsiError: it cannot be done as asked; nothing trained so far is lost.
    """

    def jobs(told: Observer) -> list[Job]:
        collection = read_collection(path, labels=labels, skip_bad=order.skip_bad)
        found = find_examples(
            collection,
            told,
            positive=positive,
            group_from=group_from,
            skip_bad=order.skip_bad,
            readers=order.readers,
        )
        fits = resize or order.recipe.made_for == "images" or found.side is None
        sized = order.of_images(None if fits else found.side)
        return [job_of_images(found, sized, test_source)]

    return _train(order, observer, jobs)


def _train(
    order: Order, observer: Observer, assemble: Callable[[Observer], list[Job]]
) -> dict[str, Any]:
    with joined(order.device) as team, repeatable(order.threads):
        told = observer if team.leads else Silence()
        device = choose_device(order.device, team)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        outs = [order.out / f"fold-{n + 1}" for n in range(order.folds)] or [order.out]
        if team.leads:
            for out in outs:
                if order.restart:
                    discard(out)
                check_free(out, overwrite=order.overwrite)
            # Before slides are looked at, which may take an hour; later starts find it fetched.
            check_start(order.recipe)
        team.wait()
        jobs = assemble(told)
        precision = order.precision
        if precision == "auto":
            precision = "bf16" if device.type == "cuda" else "fp32"
        with Loader(order.readers, room_on(device)) as loader:
            place = Place(order.seed, device, team, order.threads, loader, told, precision)
            reports = []
            for number, job in enumerate(jobs, start=1):
                if order.folds:
                    told.says(f"fold {number} of {order.folds}")
                reports.append(train(job, place))
        if not order.folds:
            return reports[0]
        summary = summarise_folds(reports)
        if team.leads:
            text = json.dumps(summary, indent=1, allow_nan=False) + "\n"
            write_whole(report_path(order.out), text.encode())
        return summary


def summarise_folds(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of the folds' validation figures, and the folds' reports."""
    figures: dict[str, dict[str, float | None]] = {}
    for name in _SUMMARISED:
        known = [report["validation"][name]["value"] for report in reports]
        known = [value for value in known if value is not None]
        figures[name] = {
            "mean": round(statistics.fmean(known), 6) if known else None,
            "sd": round(statistics.stdev(known), 6) if len(known) > 1 else None,
        }
    return {
        "format": reports[0]["format"],
        "synthetic": any(report["synthetic"] for report in reports),
        "use": reports[0]["use"],
        "folds": len(reports),
        "validation": figures,
        "reports": list(reports),
    }
