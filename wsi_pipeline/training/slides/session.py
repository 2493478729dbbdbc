"""One call of ``wsi train`` with slide labels: check, train, calibrate, pack, report."""

import json
import platform
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import DESCRIPTION, ModelPackage
from wsi_pipeline.slide.resolution import agree
from wsi_pipeline.slide_level.attention.head_file import HEADS
from wsi_pipeline.training.checkpoint import write_whole
from wsi_pipeline.training.device import Team, choose_device, repeatable
from wsi_pipeline.training.folders import report_path, work_folder
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.slides.bags import open_bags
from wsi_pipeline.training.slides.conclusion import conclude
from wsi_pipeline.training.slides.cross_validation import SlideJob, clear, cross_validate
from wsi_pipeline.training.slides.package import write_slide_package
from wsi_pipeline.training.slides.page import slides_page
from wsi_pipeline.training.slides.recipe import SlideRecipe
from wsi_pipeline.training.slides.table import LabelledSlides

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SlideOrder:
    """What a user asks for, beside the slides.

    Attributes:
        recipe: How to train.
        out: The package's folder.
        encoder: What made the features; None: the networks alone are written.
        name: Of the package.
        version: Of the package.
        licence: Of the weights; empty: as the encoder's.
        seed: Of everything random.
        threads: Of torch on the CPU.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        skip_bad: Leave out slides whose features cannot be used.
        restart: Discard an unfinished training.
        overwrite: Replace a package that is there.
    """

    recipe: SlideRecipe
    out: Path
    encoder: ModelPackage | None
    name: str
    version: str
    licence: str
    seed: int
    threads: int
    device: str = "auto"
    skip_bad: bool = False
    restart: bool = False
    overwrite: bool = False


def train_slides(found: LabelledSlides, order: SlideOrder, observer: Observer) -> dict[str, Any]:
    """Train a package, or go on with its training, or find it finished.

    Returns:
        The report, as it was written.

    Raises:
        WsiError: it cannot be done as asked; nothing trained so far is lost.
    """
    began = time.perf_counter()
    work, out = work_folder(order.out), order.out
    if out.exists() and not any((out / name).exists() for name in (DESCRIPTION, HEADS)):
        raise UsageError(f"{out} is there and is no model package; choose another -o")
    if order.restart:
        shutil.rmtree(work, ignore_errors=True)
    device = choose_device(order.device, Team())
    with repeatable(order.threads):
        bags, good = open_bags(
            found.slides, observer, encoder=order.encoder, skip_bad=order.skip_bad
        )
        found = replace(found, slides=tuple(found.slides[index] for index in good))
        _tell_of_spacing(bags.tiles.mpp, order.encoder, observer)
        job = SlideJob(
            recipe=order.recipe,
            found=found,
            bags=bags,
            seed=order.seed,
            folder=work,
            device=device,
            threads=order.threads,
            observer=observer,
        )
        identity = [job.fingerprint, order.encoder.sha256 if order.encoder else ""]
        finished = _finished(out, identity)
        if finished is not None and not order.overwrite:
            observer.says(f"{out} is trained already, from the same data and settings")
            return finished
        if out.exists() and not order.overwrite and not work.exists():
            raise UsageError(
                f"{out} exists, of other data or settings; replace it with --overwrite, or choose "
                "another -o"
            )
        trained = cross_validate(job)
        observer.stage("measuring")
        conclusion = conclude(job, trained)
    report: dict[str, Any] = {
        "format": _FORMAT,
        "package": str(out),
        # Survival is no class, so a package cannot hold it.
        "for_wsi_run": order.encoder is not None and conclusion.rule is not None,
        "use": "research only; not a medical device",
        "synthetic": bool(order.encoder and order.encoder.description.training.synthetic),
        "recipe": order.recipe.model_dump(mode="json"),
        "seed": order.seed,
        "data": {
            "kind": "slide-labels",
            "origin": str(found.source),
            "slides": len(found.slides),
            "grouped": found.grouped,
            "features": bags.features,
            "tiles": asdict(bags.tiles),
        },
        **conclusion.report,
        "networks": [{"epochs": len(history), "history": history} for history in trained.histories],
        "computing": {
            "device": device.type,
            "threads": order.threads,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "fingerprints": identity,
        "seconds": round(time.perf_counter() - began, 3),
    }
    observer.stage("writing the package")
    naming = {"name": order.name, "version": order.version}
    if order.licence:
        naming["licence"] = order.licence
    write_slide_package(out, order.encoder, trained.heads, conclusion, found, naming, bags.tiles)
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    write_whole(report_path(out), text.encode())
    write_whole(report_path(out).with_suffix(".html"), slides_page(report).encode())
    clear(work)
    return report


def _tell_of_spacing(mpp: float | None, encoder: ModelPackage | None, observer: Observer) -> None:
    """Say beforehand that the package will need an option."""
    usual = None if encoder is None else encoder.description.mpp
    if mpp is not None and usual is not None and not agree(mpp, usual):
        observer.says(
            f"the features are of tiles of {mpp:.3g} µm/px, the encoder is for {usual:.3g}: "
            f"wsi run with this package will need --mpp {mpp:.3g}"
        )


def _finished(out: Path, identity: list[str]) -> dict[str, Any] | None:
    """The report of an earlier call that was the same; None if there was none."""
    try:
        report: dict[str, Any] = json.loads(report_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = report.get("fingerprints") == identity and (out / HEADS).exists()
    return report if same else None
