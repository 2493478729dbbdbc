"""The demo Inception v3: a random trunk that is never trained, and a linear head that is.

A convolutional trunk with random weights already separates textures once its batch statistics
fit the data; a linear head on its pooled features then learns the synthetic tumour in seconds.
It shows the pipeline at work. It has never seen real tissue, and says so wherever it appears.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.demo.patches import (
    MPP,
    Drawing,
    Labelled,
    as_on_slides,
    both_classes,
    calibration_patches,
    reference_patches,
)
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
from wsi_pipeline.model.package import CALIBRATION, ModelPackage
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.shift.measuring import measure
from wsi_pipeline.shift.statistics import write_statistics

_SEED = 20_160
_PATCH_PX = 299
_STATISTICS_PATCHES = 64
#: Strong: features of random filters are many and alike.
_RIDGE = 100.0
#: Share of the likelihood that tumour has: it is two in five patches, and on slides about one in
#: ten tiles.
_TUMOUR_SHARE = 0.1
#: Normal patches that a first fit takes for tumour with a probability from here on are hard, and
#: weigh as many times as much in the second.
_HARD, _HARD_WEIGHT = 0.05, 10.0
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
    to_train, to_hold_out = both_classes()
    first = deque(one.draw() for one in to_train)
    unseen = [one.draw() for one in to_hold_out]
    reference, calibration = reference_patches(), calibration_patches()
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
        some = np.concatenate(first)
        some = some[np.random.default_rng(_SEED).permutation(len(some))[:_STATISTICS_PATCHES]]
        fit_statistics(classifier, some, batch=2 * _BATCH)
        progress("computing features")
        more = as_on_slides()
        with ThreadPoolExecutor(1) as beside:
            # Drawing holds the interpreter, computing does not: one goes on beside the other.
            further = beside.map(Drawing.draw, more)
            held_out, of_held_out = _look(classifier, to_hold_out, unseen)
            # Each is let go of when it has been looked at.
            parts = chain((first.popleft() for _ in to_train), further)
            train, of_train = _look(classifier, [*to_train, *more], parts)
        weight, bias = fit_twice(of_train, train.labels)
        set_head(classifier, weight, bias)
        metrics = _metrics(of_held_out @ weight + bias, held_out.labels)
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
    statistics = measure("slide", train.measured(of_train), held_out.measured(of_held_out))
    assert statistics is not None  # they are of tissue
    write_statistics(folder, statistics)
    description["training"] |= {"metrics": metrics, "colours": asdict(train.colours)}
    return write_description(folder, description)


def _look(
    classifier: Classifier, drawings: Sequence[Drawing], parts: Iterable[NDArray[np.uint8]]
) -> tuple[Labelled, NDArray[np.float64]]:
    """What patches show and look like, and their pooled features, ``(n, d)``.

    Args:
        classifier: Of the trunk.
        drawings: Where they come from.
        parts: Those of each drawing.
    """
    labelled, features = Labelled(), []
    for drawing, patches in zip(drawings, parts, strict=True):
        labelled.add(drawing, patches)
        features.append(pooled_features(classifier, patches, _BATCH))
    return labelled, np.concatenate(features)


def fit_twice(
    features: NDArray[np.float64], labels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A head that hard patches weigh more for: normal ones that a first fit takes for tumour.

    Args:
        features: Pooled ones, ``(n, d)``.
        labels: 1 = tumour, ``(n,)``.

    Returns:
        Weights ``(d,)`` and bias ``()`` of the logit.
    """
    weights = _as_on_slides(labels)
    weight, bias = fit_head(features, labels, _RIDGE, weights)
    hard = (labels == 0) & (expit(features @ weight + bias) >= _HARD)
    return fit_head(features, labels, _RIDGE, np.where(hard, _HARD_WEIGHT * weights, weights))


def _as_on_slides(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of patches, 1 of normal ones, ``(n,)``."""
    tumour = labels == 1
    odds = _TUMOUR_SHARE / (1 - _TUMOUR_SHARE)
    return np.where(tumour, odds * (~tumour).sum() / tumour.sum(), 1.0)


def _description(version: str) -> dict[str, Any]:
    return {
        "name": "demo",
        "version": version,
        "architecture": {"name": "inception_v3", "pooling": "max", "dropout": 0.5},
        "classes": ["normal", "tumour"],
        "positive": "tumour",
        "patch_px": _PATCH_PX,
        "mpp": MPP,
        "threshold": {"value": 0.5, "chosen": "fixed at 0.5"},
        "training": {
            "data": "synthetic H&E patches drawn by this program (`wsi synth`); no real tissue",
            "synthetic": True,
            "metrics": {},
        },
        "licence": "Apache-2.0",
        "intended_use": "Demonstration and tests on synthetic slides only. It was trained on "
        "synthetic tissue; its results on real tissue mean nothing. Not a medical device.",
        "tolerance": {"fp32": 0.001, "bf16": 0.08, "fp16": 0.02, "int8": 0.3},
    }


def _metrics(logits: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    """Patch AUC (Mann-Whitney) and accuracy on held-out synthetic patches."""
    positive, negative = logits[truth == 1], logits[truth == 0]
    pairs = positive[:, None] - negative[None]
    auc = float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    accuracy = float(((logits >= 0) == (truth == 1)).mean())
    return {"held_out_patch_auc": round(auc, 4), "held_out_patch_accuracy": round(accuracy, 4)}
