"""The demo Inception v3: a random trunk that is never trained, and a linear head that is.

A convolutional trunk with random weights already separates textures once its batch statistics
fit the data; a linear head on its pooled features then learns the synthetic tumour in seconds.
It shows the pipeline at work. It has never seen real tissue, and says so wherever it appears.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.linear_probe import (
    as_pixels,
    draw_weights,
    fit_head,
    fit_statistics,
    pooled_features,
    set_head,
)
from wsi_pipeline.model.network import Classifier, save_weights
from wsi_pipeline.model.package import CALIBRATION, ModelPackage, write_description, write_npz
from wsi_pipeline.shift.measuring import Measured, measure
from wsi_pipeline.shift.sampling import NUCLEI_EVERY, sample_patch
from wsi_pipeline.shift.statistics import write_statistics
from wsi_pipeline.synth import render_patches
from wsi_pipeline.synth.patches import PatchKind
from wsi_pipeline.tissue.colours import patch_colours, summarise

_SEED = 20_160
#: Stain and seed of the slides patches are cut from: each seed has textures of its own.
_TRAINING_SLIDES = (("b", 20_162), ("c", 20_163), ("a", 20_161))
_HELD_OUT_SLIDES = (("a", 20_164),)
_PATCH_PX = 299
_MPP = 0.25
#: Patches of either class per slide at each resolution: mostly the package's own, some coarser,
#: so that the demo also works on levels 1 and 2.
_TRAINING = {0.25: 50, 0.5: 18, 1.0: 18}
_HELD_OUT = {0.25: 32, 0.5: 8, 1.0: 8}
_STATISTICS_PATCHES = 64
#: Reference patches of each kind; border patches give the probabilities between 0 and 1.
#: Few, because they are computed at every start.
_REFERENCE: dict[PatchKind, int] = {"tumour": 4, "normal": 4, "border": 8}
_CALIBRATION: dict[PatchKind, int] = {"tumour": 16, "normal": 24, "border": 24}
#: Strong: features of random filters are many and alike.
_RIDGE = 100.0
_BATCH = 16


def build_demo_package(
    folder: Path, *, version: str, progress: Callable[[str], None]
) -> ModelPackage:
    """Build the demo package into a new folder; the same bytes every time on one machine.

    Args:
        folder: Must not exist.
        version: For ``model.yaml``.
        progress: Told what is being done.
    """
    progress("drawing synthetic patches")
    patches, labels = _labelled(_TRAINING_SLIDES, _TRAINING)
    held_out, truth = _labelled(_HELD_OUT_SLIDES, _HELD_OUT)
    reference = _of_kinds(_HELD_OUT_SLIDES[0], _REFERENCE)
    calibration = _of_kinds(_TRAINING_SLIDES[-1], _CALIBRATION)
    description = _description(version)
    placeholder = ModelDescription.model_validate(
        {**description, "files": {WEIGHTS: "", REFERENCE: ""}}
    )
    threads = torch.get_num_threads()
    # Sums of floats depend on how work is split: a fixed number keeps the package the same.
    torch.set_num_threads(min(2, len(os.sched_getaffinity(0))))
    try:
        classifier = Classifier(placeholder).to(memory_format=torch.channels_last)
        draw_weights(classifier.network, _SEED)
        progress("fitting batch statistics")
        chosen = np.random.default_rng(_SEED).permutation(len(patches))[:_STATISTICS_PATCHES]
        fit_statistics(classifier, patches[chosen], batch=2 * _BATCH)
        progress("computing features")
        features = pooled_features(classifier, np.concatenate([patches, held_out]), _BATCH)
        weight, bias = fit_head(features[: len(labels)], labels, _RIDGE)
        set_head(classifier, weight, bias)
        logits = features[len(labels) :] @ weight + bias
        metrics = _metrics(logits, truth)
        progress("writing the package")
        with torch.inference_mode():
            probabilities = np.concatenate(
                [classifier(as_pixels(part)).numpy() for part in np.split(reference, 4)]
            )
    finally:
        torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(classifier.network.to(memory_format=torch.contiguous_format), folder / WEIGHTS)
    write_npz(folder / CALIBRATION, patches=calibration)
    write_npz(folder / REFERENCE, patches=reference, probabilities=probabilities)
    progress("measuring the training patches")
    parts = [
        _measured(_TRAINING_SLIDES, _TRAINING, patches, features[: len(labels)], labels),
        _measured(_HELD_OUT_SLIDES, _HELD_OUT, held_out, features[len(labels) :], truth),
    ]
    statistics = measure("slide", *parts)
    assert statistics is not None  # they are of tissue
    write_statistics(folder, statistics)
    description["training"] |= {"metrics": metrics, "colours": _colours(patches)}
    return write_description(folder, description)


def _description(version: str) -> dict[str, Any]:
    return {
        "name": "demo",
        "version": version,
        "architecture": {"name": "inception_v3", "pooling": "max", "dropout": 0.5},
        "classes": ["normal", "tumour"],
        "positive": "tumour",
        "patch_px": _PATCH_PX,
        "mpp": _MPP,
        "threshold": {"value": 0.5, "chosen": "fixed at 0.5; equal classes in training"},
        "training": {
            "data": "synthetic H&E patches drawn by this program (`wsi synth`); no real tissue",
            "synthetic": True,
            "metrics": {},
        },
        "licence": "Apache-2.0",
        "intended_use": "Demonstration and tests on synthetic slides only. It was trained on "
        "synthetic tissue; its results on real tissue mean nothing. Not a medical device.",
        "tolerance": {"fp32": 0.001, "bf16": 0.05, "fp16": 0.02, "int8": 0.3},
    }


def _of_kinds(slide: tuple[str, int], counts: Mapping[PatchKind, int]) -> NDArray[np.uint8]:
    """Patches of several kinds from one slide, ``(n, 299, 299, 3)``."""
    stain, seed = slide
    return np.concatenate(
        [
            render_patches(kind, count, seed=seed, mpp=_MPP, stain=stain)
            for kind, count in counts.items()
        ]
    )


def _labelled(
    slides: Sequence[tuple[str, int]], counts: Mapping[float, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Patches of both classes, ``(n, 299, 299, 3)``, and their labels, 1 = tumour."""
    kinds: tuple[PatchKind, ...] = ("tumour", "normal")
    patches: list[NDArray[np.uint8]] = []
    labels: list[NDArray[np.float64]] = []
    for stain, seed in slides:
        for mpp, count in counts.items():
            for kind in kinds:
                patches.append(render_patches(kind, count, seed=seed, mpp=mpp, stain=stain))
                labels.append(np.full(count, float(kind == "tumour")))
    return np.concatenate(patches), np.concatenate(labels)


def _measured(
    slides: Sequence[tuple[str, int]],
    counts: Mapping[float, int],
    patches: NDArray[np.uint8],
    features: NDArray[np.float64],
    labels: NDArray[np.float64],
) -> Measured:
    """What patches of slides look like, in the order of :func:`_labelled`."""
    each = [mpp for mpp, count in counts.items() for _ in range(2 * count)]
    unit = np.repeat(np.arange(len(slides)), len(each))
    mpps = np.tile(each, len(slides))
    samples = [
        sample_patch(patch, float(mpp) if index % NUCLEI_EVERY == 0 else None)
        for index, (patch, mpp) in enumerate(zip(patches, mpps, strict=True))
    ]
    values = features.astype(np.float32)
    return Measured(np.stack(samples), unit, labels.astype(np.int64), values)


def _metrics(logits: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    """Patch AUC (Mann-Whitney) and accuracy on held-out synthetic patches."""
    positive, negative = logits[truth == 1], logits[truth == 0]
    pairs = positive[:, None] - negative[None]
    auc = float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    accuracy = float(((logits >= 0) == (truth == 1)).mean())
    return {"held_out_patch_auc": round(auc, 4), "held_out_patch_accuracy": round(accuracy, 4)}


def _colours(patches: NDArray[np.uint8]) -> dict[str, Any]:
    """How the training patches are stained, all three stains of them."""
    colours = summarise(np.array([patch_colours(patch) for patch in patches]))
    assert colours is not None
    return asdict(colours)
