"""Measures what a finished training has seen, so that its package can tell what it has not."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.linear_probe import as_pixels, pooled
from wsi_pipeline.model.network import Classifier
from wsi_pipeline.shift.measuring import Measured, measure
from wsi_pipeline.shift.sampling import NUCLEI_EVERY, sample_patch
from wsi_pipeline.shift.statistics import write_statistics
from wsi_pipeline.training.images import ImageSource
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.run import Run
from wsi_pipeline.training.sampling import plain, spread_over_units

#: Patches of the training, and of the validation, that are measured: a fraction of an epoch.
_TRAIN, _VALIDATION = 384, 256
_BATCH = 16


def write_familiarity(run: Run, classifier: Classifier, folder: Path) -> None:
    """Put ``training-features.npz`` into the folder of a package that is being made.

    Patches as they are, slides in equal numbers. A network that has no single last layer gives no
    features, and the file then knows looks alone.

    Args:
        run: What was trained from.
        classifier: With its final weights, in evaluation mode, on the CPU.
        folder: Before its files are pinned.

    Raises:
        SlideError: a patch cannot be read any more.
    """
    rng = np.random.default_rng([run.seed, 11])
    parts = [
        _measured(run, classifier, source, count, rng)
        for source, count in ((run.train, _TRAIN), (run.validation, _VALIDATION))
    ]
    unit = "image" if isinstance(run.train, ImageSource) else "slide"
    statistics = measure(unit, *parts)
    if statistics is not None:
        write_statistics(folder, statistics)


def _measured(
    run: Run, classifier: Classifier, source: PatchSource, count: int, rng: np.random.Generator
) -> Measured:
    everything = np.arange(len(source.label))
    items = np.sort(spread_over_units(source, everything, count, rng))
    groups = [np.arange(i, min(i + _BATCH, len(items))) for i in range(0, len(items), _BATCH)]
    samples: list[NDArray[np.float32]] = []
    features: list[NDArray[np.float32]] | None = []
    for batch in run.loader.batches(source, plain(items), groups):
        for patch in batch.patches:
            closely = run.recipe.mpp if len(samples) % NUCLEI_EVERY == 0 else None
            samples.append(sample_patch(patch, closely))
        if features is not None:
            try:
                features.append(pooled(classifier, as_pixels(batch.patches)).float().cpu().numpy())
            except PackageError:
                features = None
    return Measured(
        np.stack(samples),
        source.unit[items],
        source.label[items],
        np.concatenate(features) if features else None,
    )
