"""The colours of a slide's tissue beside those its model was trained on."""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.description import REFERENCE
from wsi_pipeline.model.package import CALIBRATION, ModelPackage, load_package
from wsi_pipeline.stitch.colours_record import ColoursRecord, TrainingColoursRecord
from wsi_pipeline.tissue.colours import Colours, patch_colours, summarise


def compare_colours(package: ModelPackage, measured: NDArray[np.float32]) -> ColoursRecord:
    """What a result says of colours.

    Args:
        package: The model.
        measured: :func:`~wsi_pipeline.tissue.colours.patch_colours` of sampled tiles,
            ``(n, 2, 3)``.
    """
    slide, training = summarise(measured), training_colours(package)
    apart = None if slide is None or training is None else training.distance(slide.mean)
    return ColoursRecord(
        tiles=0 if slide is None else slide.patches,
        mean=None if slide is None else tuple(slide.mean),
        std=None if slide is None else tuple(slide.std),
        training=None
        if training is None
        else TrainingColoursRecord(
            patches=training.patches, mean=tuple(training.mean), std=tuple(training.std)
        ),
        distance=None if apart is None else round(apart, 3),
    )


def training_colours(package: ModelPackage) -> Colours | None:
    """What the package states of its training patches, else what its own patches show."""
    stated = package.description.training.colours
    if stated is not None:
        return Colours(stated.patches, stated.mean, stated.std, stated.covariance)
    return _shown(package.folder, package.sha256)


@functools.lru_cache(maxsize=8)
def _shown(folder: Path, sha256: str) -> Colours | None:
    """Colours of the reference and calibration patches; reading those takes a moment."""
    package = load_package(folder, expect=sha256, only=(REFERENCE, CALIBRATION))
    patches = [package.reference()[0]]
    if CALIBRATION in package.description.files:
        patches.append(package.calibration())
    return summarise(np.array([patch_colours(patch) for part in patches for patch in part]))
