"""What ``make bench`` measures: packages, where each looks at the slide, and packages made for it.

``lymph-node`` and the demo model come with the program. A ResNet-50 and a MobileNet do not: their
packages are made here once as the demo's is, from random weights, so that the tables have usual
networks from timm.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

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
from wsi_pipeline.model.package import CALIBRATION, DESCRIPTION, ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.synth import render_patches

_PATCH_PX, _MPP, _SEED = 224, 0.25, 50
_TRAINING, _CALIBRATION = 60, 32


@dataclass(frozen=True, slots=True)
class Row:
    """How a run of ours is asked for.

    Attributes:
        precision: Of the model.
        quality: ``flag``, as a run has it without options, or ``off``.
        package: Where it is another than the subject's.
    """

    precision: str
    quality: str = "flag"
    package: ModelPackage | None = None

    @property
    def options(self) -> list[str]:
        """For :mod:`benchmarks.pipeline_run`."""
        return ["--precision", self.precision, "--qc", self.quality]


@dataclass(frozen=True, slots=True)
class Subject:
    """A package on the slide of the benchmark.

    Attributes:
        package: The model.
        level: Pyramid level that is analysed; None: the package's own resolution.
        loop: Name of the reference loop's row.
        rows: The rows of ours, by name.
    """

    package: ModelPackage
    level: int | None
    loop: str
    rows: dict[str, Row]


def timm_package(folder: Path, network: str) -> ModelPackage:
    """A network with random convolutions and a last layer fitted to drawn tumour.

    Args:
        folder: Where it is kept; made where it is missing.
        network: Its name in timm.
    """
    if (folder / DESCRIPTION).exists():
        return load_package(folder)
    shutil.rmtree(folder, ignore_errors=True)
    fields = {
        "name": network,
        "version": "1",
        "architecture": {"name": network},
        "patch_px": _PATCH_PX,
        "mpp": _MPP,
        "threshold": {"value": 0.5, "chosen": "fixed at 0.5; equal classes in training"},
        "training": {"data": "drawn patches, for the benchmark only", "synthetic": True},
        "licence": "Apache-2.0",
        "intended_use": "To measure speed. Its results mean nothing.",
        "tolerance": {"fp32": 0.001, "bf16": 0.1, "fp16": 0.05, "int8": 0.4},
    }
    pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
    classifier = Classifier(ModelDescription.model_validate({**fields, "files": pins}))
    draw_weights(classifier.network, _SEED)
    tumour, normal = (
        render_patches(kind, _TRAINING, seed=_SEED, patch_px=_PATCH_PX, mpp=_MPP)
        for kind in ("tumour", "normal")
    )
    patches = np.concatenate([tumour, normal])
    fit_statistics(classifier, np.concatenate([tumour[::2], normal[::2]]), batch=32)
    labels = np.repeat([1.0, 0.0], _TRAINING)
    set_head(classifier, *fit_head(pooled_features(classifier, patches, 16), labels, 100.0))
    border = render_patches("border", _CALIBRATION, seed=_SEED + 1, patch_px=_PATCH_PX, mpp=_MPP)
    reference = np.concatenate([tumour[:4], normal[:4], border[:8]])
    with torch.inference_mode():
        probabilities = classifier(as_pixels(reference)).numpy()
    folder.mkdir(parents=True)
    save_weights(classifier.network, folder / WEIGHTS)
    write_npz(folder / REFERENCE, patches=reference, probabilities=probabilities)
    write_npz(
        folder / CALIBRATION,
        patches=np.concatenate([tumour[4:20], normal[4:20], border[8:]]),
    )
    return write_description(folder, fields)
