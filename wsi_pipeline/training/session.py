"""One call of ``wsi train``: check, train, calibrate, pack, report; with folds and search."""

import hashlib
import json
import math
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.model.package import DESCRIPTION
from wsi_pipeline.training.check import check_space
from wsi_pipeline.training.checkpoint import CHECKPOINT, write_whole
from wsi_pipeline.training.conclusion import Conclusion, conclude_patches
from wsi_pipeline.training.device import Team
from wsi_pipeline.training.folders import clear, report_path, work_folder
from wsi_pipeline.training.folds import search_grid
from wsi_pipeline.training.head_fit import HeadFit
from wsi_pipeline.training.image_conclusion import conclude_images
from wsi_pipeline.training.image_page import training_page
from wsi_pipeline.training.images import ImageSource
from wsi_pipeline.training.initial_weights import new_classifier
from wsi_pipeline.training.linear_probe import LinearProbeFit
from wsi_pipeline.training.loader import Loader
from wsi_pipeline.training.loop import Training
from wsi_pipeline.training.package import LEAST_VALIDATION, write_package
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.request import Naming
from wsi_pipeline.training.run import Observer, Run, Trained, digest, score
from wsi_pipeline.training.sampling import plain
from wsi_pipeline.training.selection import rank

_FORMAT = 1


@dataclass(frozen=True)
class Job:
    """What is to be trained.

    Attributes:
        recipe: How.
        train: Patches trained on.
        validation: Patches validated, calibrated and decided on.
        test: Images only looked at in the end; None: there are none.
        naming: What the package says of itself.
        facts: Of the data, for the report.
        out: The package's folder.
        search: ``KEY=A,B`` terms; empty: one training.
        external: Images of another source, only looked at in the end.
    """

    recipe: Recipe
    train: PatchSource
    validation: PatchSource
    test: ImageSource | None
    naming: Naming
    facts: dict[str, Any]
    out: Path
    search: tuple[str, ...] = ()
    external: ImageSource | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of images; of slides none, which have one logit."""
        return self.naming.classes if isinstance(self.validation, ImageSource) else ()


@dataclass(frozen=True)
class Place:
    """Where and how it is computed.

    Attributes:
        seed: Of everything random.
        device: Computes.
        team: Processes that share the work.
        threads: Of torch on the CPU.
        loader: Reads patches.
        observer: Is told.
        precision: ``bf16`` or ``fp32``.
    """

    seed: int
    device: torch.device
    team: Team
    threads: int
    loader: Loader
    observer: Observer
    precision: str


def train(job: Job, place: Place) -> dict[str, Any]:
    """Train a package, or go on with its training, or find it finished.

    Returns:
        The report, as it was written.

    Raises:
        UsageError: the work folder holds another training.
        TrainingError: it cannot go on; what was trained is kept.
    """
    began = time.perf_counter()
    _check_validation(job)
    candidates = search_grid(job.recipe, job.search) if job.search else [({}, job.recipe)]
    work = work_folder(job.out)
    place.team.wait()
    with suppress(FileExistsError):
        work.mkdir(parents=True)
    check_space(work, _bytes_needed(job, len(candidates)))
    runs = [
        Run(
            recipe=recipe,
            train=job.train,
            validation=job.validation,
            seed=place.seed,
            folder=work if len(candidates) == 1 else work / f"search-{number:02d}",
            device=place.device,
            team=place.team,
            threads=place.threads,
            loader=place.loader,
            observer=place.observer,
            precision=place.precision,
            classes=job.classes,
        )
        for number, (_, recipe) in enumerate(candidates, start=1)
    ]
    finished = _finished(job, runs)
    if finished is not None:
        place.observer.says(f"{job.out} is trained already, from the same data and settings")
        return finished
    if report_path(job.out).exists() and not (work / CHECKPOINT).exists():
        raise UsageError(
            f"{job.out} was trained from other data or with other settings; replace it with "
            "--overwrite, or choose another -o"
        )
    searched: list[dict[str, Any]] = []
    best, winner = None, runs[0]
    for (choice, _), run in zip(candidates, runs, strict=True):
        run.folder.mkdir(exist_ok=True)
        if choice:
            place.observer.says(", ".join(f"{key} {value}" for key, value in choice.items()))
        trained = fit(run)
        searched.append({"settings": choice, "validation": trained.figures.to_json()})
        rule = job.recipe.selection
        if best is None or rank(trained.figures, rule) > rank(best.figures, rule):
            best, winner = trained, run
    assert best is not None
    prints = _fingerprints(job, runs)
    told = searched if job.search else []
    report = _conclude(job, place, winner, best, told, prints, began)
    if place.team.leads:
        clear(work)
    place.team.wait()
    return report


def fit(run: Run) -> Trained:
    """Train by the recipe's method."""
    if run.recipe.method == "gradient":
        return Training(run).train()
    return (HeadFit(run) if run.classes else LinearProbeFit(run)).train()


def _check_validation(job: Job) -> None:
    count = len(job.validation.label)
    if count < LEAST_VALIDATION:
        images = isinstance(job.validation, ImageSource)
        remedy = "add images" if images else "add slides, or make sampling.stride smaller"
        raise CohortError(
            None,
            f"{count} {'images' if images else 'patches'} to validate on are too few: a package "
            f"needs {LEAST_VALIDATION} for its reference; {remedy}",
        )


def _bytes_needed(job: Job, trainings: int) -> int:
    """Room for checkpoints (old and new), the best weights and the package."""
    network = new_classifier(job.recipe, job.classes).network
    weights = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    patches = 100 * 3 * job.recipe.patch_px**2
    per_training = 6 * weights if job.recipe.method == "gradient" else 50_000_000
    needed: int = trainings * per_training + 2 * weights + 2 * patches + 20_000_000
    return needed


def _finished(job: Job, runs: Sequence[Run]) -> dict[str, Any] | None:
    """The report of an earlier call that was the same; None if there was none."""
    try:
        report: dict[str, Any] = json.loads(report_path(job.out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = report.get("fingerprints") == _fingerprints(job, runs)
    return report if same and (job.out / DESCRIPTION).exists() else None


def _fingerprints(job: Job, runs: Sequence[Run]) -> list[str]:
    """What decides the report: all that decides the weights, and what is measured in the end."""
    found = [run.fingerprint for run in runs]
    parts = [part for part in (job.test, job.external) if part is not None]
    if parts:
        sources = [[image.source for image in part.images] for part in parts]
        told = json.dumps([job.naming.positive, sources, [digest(part) for part in parts]])
        found.append(hashlib.sha256(told.encode()).hexdigest())
    return found


def _conclude(
    job: Job,
    place: Place,
    run: Run,
    trained: Trained,
    searched: list[dict[str, Any]],
    fingerprints: list[str],
    began: float,
) -> dict[str, Any]:
    """Calibrate, decide, pack, and write the report."""
    place.observer.stage("measuring")
    conclusion = _concluded(job, run, trained)
    report: dict[str, Any] = {
        "format": _FORMAT,
        "package": str(job.out),
        "synthetic": job.naming.synthetic,
        "use": "research only; not a medical device",
        "recipe": run.recipe.model_dump(mode="json"),
        "seed": place.seed,
        "data": job.facts,
        "history": trained.state.history,
        "best": {"validation": trained.figures.to_json(), **trained.details},
        "search": searched,
        **conclusion.report,
        "computing": {
            "device": _device_name(place.device),
            "precision": place.precision,
            "threads": place.threads,
            "processes": place.team.size,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "steps": trained.state.steps,
            "step_seconds": round(trained.state.seconds, 3),
            "images_per_second": _rate(run, trained),
        },
        "fingerprints": fingerprints,
        "seconds": round(time.perf_counter() - began, 3),
    }
    if place.team.leads:
        place.observer.stage("writing the package")
        package = write_package(run, trained, conclusion, job.naming, job.out)
        report["package_sha256"] = package.sha256
        text = json.dumps(_plain(report), indent=1, allow_nan=False) + "\n"
        write_whole(report_path(job.out), text.encode())
        if run.classes:
            page = training_page(_plain(report))
            write_whole(report_path(job.out).with_suffix(".html"), page.encode())
    return report


def _concluded(job: Job, run: Run, trained: Trained) -> Conclusion:
    """Temperature, decisions and figures; of images also those of the parts kept for the end."""
    naming = job.naming
    if not isinstance(job.validation, ImageSource):
        unit = job.validation.unit[trained.validation.items]
        return conclude_patches(job.recipe, trained, unit, naming.classes)
    classifier = trained.classifier.to(run.device)

    def scored(source: ImageSource) -> NDArray[np.float64]:
        everything = plain(np.arange(len(source.label)))
        run.observer.stage("testing", len(everything))
        return score(run, classifier, source, everything)

    others = {"test": job.test, "external": job.external}
    conclusion = conclude_images(
        job.recipe,
        trained,
        naming.classes,
        naming.positive,
        job.validation,
        {name: source for name, source in others.items() if source is not None},
        scored,
    )
    classifier.to("cpu")
    return conclusion


def _rate(run: Run, trained: Trained) -> float | None:
    seconds = trained.state.seconds
    return round(trained.state.steps * run.recipe.batch / seconds, 2) if seconds else None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return f"cpu {platform.processor() or platform.machine()}"


def _plain(value: Any) -> Any:
    """Numbers JSON has no word for become null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
