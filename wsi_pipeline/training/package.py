"""Makes a model package of a finished training, whole or not at all."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.errors import TrainingError
from wsi_pipeline.images.conformal import write_conformal
from wsi_pipeline.images.seen import write_seen
from wsi_pipeline.model.description import REFERENCE, WEIGHTS
from wsi_pipeline.model.input_description import Preprocessing
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import save_weights
from wsi_pipeline.model.package import (
    CALIBRATION,
    MIN_REFERENCE_PATCHES,
    ModelPackage,
    load_package,
)
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.tissue.colours import patch_colours, summarise
from wsi_pipeline.training.conclusion import Conclusion
from wsi_pipeline.training.familiarity import write_familiarity
from wsi_pipeline.training.images import ImageSource
from wsi_pipeline.training.initial_weights import of_classes
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.request import Naming
from wsi_pipeline.training.run import Run, Trained
from wsi_pipeline.training.sampling import plain, spread_over_units

#: Reference patches: half of them those nearest to the threshold.
_REFERENCES = 24
_CALIBRATIONS = 64
#: Training patches whose colours are measured.
_COLOURS = 256
#: Largest difference from the reference, by precision. Wide for the lower ones: a runtime that is
#: admitted still asks the doubtful patches again in fp32, and half of the reference is doubtful.
_TOLERANCE = {"fp32": 0.002, "bf16": 0.15, "fp16": 0.05, "int8": 0.3}
_SYNTHETIC_USE = (
    "Demonstration and tests on synthetic slides only. It was trained on synthetic tissue; what "
    "it says of real tissue means nothing. Not a medical device."
)
_RESEARCH_USE = "Research use only. Not a medical device."


def write_package(
    run: Run,
    trained: Trained,
    conclusion: Conclusion,
    naming: Naming,
    folder: Path,
) -> ModelPackage:
    """Write weights, reference, calibration patches and description, then move them into place.

    Args:
        run: What was trained from.
        trained: The network.
        conclusion: Temperature, threshold and figures.
        naming: What it says of itself.
        folder: Of the package; one that is there is replaced when the new one is complete.

    Raises:
        TrainingError: it cannot be written; training and an earlier package are kept.
    """
    try:
        with durable.replacing_folder(folder) as unfinished:
            _fill(run, trained, conclusion, naming, unfinished)
    except OSError as error:
        raise TrainingError(
            folder,
            f"the package cannot be written: {error.strerror or error}; what was trained is kept "
            f"in {run.folder}. Free some space and start the same command again: it continues",
        ) from error
    return load_package(folder)


def _fill(
    run: Run,
    trained: Trained,
    conclusion: Conclusion,
    naming: Naming,
    folder: Path,
) -> None:
    recipe = run.recipe
    classifier = trained.classifier
    save_weights(classifier.network, folder / WEIGHTS)
    reference = _read(run, run.validation, _references(trained, conclusion))
    classifier.temperature = conclusion.temperature
    with torch.inference_mode():
        probabilities = np.concatenate(
            [
                classifier(as_pixels(reference[i : i + 8])).numpy()
                for i in range(0, len(reference), 8)
            ]
        )
    classifier.temperature = 1.0
    write_npz(folder / REFERENCE, patches=reference, probabilities=probabilities)
    # Safetensors makes its files readable by their owner alone; a service is somebody else.
    (folder / WEIGHTS).chmod((folder / REFERENCE).stat().st_mode)
    write_familiarity(run, classifier, folder)
    rng = np.random.default_rng([run.seed, 7])
    if conclusion.conformal is not None:
        write_conformal(folder, conclusion.conformal)
    if isinstance(run.train, ImageSource) and isinstance(run.validation, ImageSource):
        parts = ([one.sha256 for one in part.images] for part in (run.train, run.validation))
        write_seen(folder, *parts)
    everything = np.arange(len(run.train.label))
    shown = np.sort(spread_over_units(run.train, everything, _COLOURS, rng))
    colours = summarise(np.array([patch_colours(p) for p in _read(run, run.train, shown)]))
    some = rng.permutation(shown)[:_CALIBRATIONS]
    write_npz(folder / CALIBRATION, patches=_read(run, run.train, np.sort(some)))
    resolution: dict[str, Any] = (
        {"level": recipe.levels[0]} if recipe.levels else {"mpp": recipe.mpp}
    )
    write_description(
        folder,
        {
            "name": naming.name,
            "version": naming.version,
            "architecture": trained.architecture(recipe.architecture),
            "classes": list(naming.classes),
            "positive": naming.classes[1],
            **of_classes(run.classes, naming.positive),
            "images": recipe.images.model_dump() if run.classes else None,
            "patch_px": recipe.patch_px,
            **resolution,
            **_stain(run.train.stain),
            "normalisation": recipe.normalisation.model_dump(),
            "threshold": {
                "value": conclusion.threshold,
                "chosen": conclusion.chosen,
            },
            "calibration": {
                "temperature": conclusion.temperature,
                "fitted": conclusion.fitted,
            },
            "training": {
                "data": naming.data,
                "synthetic": naming.synthetic,
                "metrics": conclusion.metrics,
                "colours": None if colours is None else asdict(colours),
            },
            "licence": naming.licence,
            "intended_use": _SYNTHETIC_USE if naming.synthetic else _RESEARCH_USE,
            "tolerance": _tolerance(trained),
        },
    )


def _stain(target: StainTarget | None) -> dict[str, Any]:
    """What the description says of stain: nothing where it stays as it is."""
    if target is None:
        return {}
    return {"preprocessing": Preprocessing(stain=target).model_dump(mode="json")}


def _tolerance(trained: Trained) -> dict[str, float]:
    """Trees and neighbours change their answer in steps, which the last digits may decide."""
    steps = trained.head is not None and trained.head.kind in ("forest", "neighbours")
    return {**_TOLERANCE, "fp32": 0.03} if steps else _TOLERANCE


def _references(trained: Trained, conclusion: Conclusion) -> NDArray[np.int64]:
    """Numbers of validation patches: those nearest to the threshold, and some of all scores."""
    nearest = np.argsort(conclusion.margins, kind="stable")
    near, rest = nearest[: _REFERENCES // 2], nearest[_REFERENCES // 2 :]
    ordered = rest[np.argsort(conclusion.order[rest], kind="stable")]
    count = min(len(ordered), _REFERENCES - len(near))
    places = np.linspace(0, max(0, len(ordered) - 1), count).round().astype(np.int64)
    chosen = np.concatenate([near, ordered[places]])
    items: NDArray[np.int64] = trained.validation.items[np.sort(chosen)]
    return items


def _read(run: Run, source: PatchSource, items: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Patches as they are, ``(n, patch, patch, 3)``."""
    (batch,) = run.loader.batches(source, plain(items), [np.arange(len(items))])
    return batch.patches


#: Fewest validation patches a package can be made with.
LEAST_VALIDATION = MIN_REFERENCE_PATCHES
