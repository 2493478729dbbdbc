"""Adds what training data look like to a package that was made without it.

The owner names slides or images that are like those the model was trained on; better ones that it
was not trained on, since a network knows its own training patches too well. Half of them are
what others are compared with, the other half says how far such slides or images are from those.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import DamagedSlideError, PackageError, UsageError, WsiError
from wsi_pipeline.images.classification import intake_of
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.reading import read_ahead
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import TRAINING_FEATURES, ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.model.predictor import Predictor, predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.shift.measuring import Measured, measure
from wsi_pipeline.shift.sampling import NUCLEI_EVERY, sample_patch
from wsi_pipeline.shift.statistics import TrainingStatistics, write_statistics
from wsi_pipeline.tiles.patches import read_input
from wsi_pipeline.tiles.plan import spread

#: Tiles of a slide that are measured.
_TILES = 64
#: Images or slides below which nothing can be said of others.
_LEAST = 6
_BATCH = 64

Patches = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sample:
    """Some patches of one slide or image, and µm per px of them; None where unknown."""

    patches: Patches
    mpp: float | None


def familiarise(
    package: ModelPackage,
    samples: Iterator[Sample],
    unit: str,
    request: RuntimeRequest,
) -> TrainingStatistics:
    """Measure slides or images.

    Args:
        package: The model.
        samples: Of slides, or of images.
        unit: ``slide`` or ``image``.
        request: What to compute with; the model answers with features whatever it says of them.

    Raises:
        UsageError: they are too few, or show no tissue.
    """
    predictor = _with_features(package, request)
    measured: list[NDArray[np.float32]] = []
    answers: list[NDArray[np.float32]] = []
    units: list[int] = []
    count = 0
    # Several together, for single images would each be a batch of their own.
    while some := list(islice(samples, _BATCH if unit == "image" else 1)):
        for sample in some:
            measured += [
                sample_patch(patch, sample.mpp if index % NUCLEI_EVERY == 0 else None)
                for index, patch in enumerate(sample.patches)
            ]
            units += [count] * len(sample.patches)
            count += 1
        if predictor is not None:
            answers.append(predict_all(predictor, np.concatenate([one.patches for one in some])))
    if count < _LEAST:
        raise UsageError(f"{count} {unit}s with tissue are too few; name at least {_LEAST}")
    of, looks = np.array(units), np.stack(measured)
    features, labels = None, np.zeros(len(of), np.int64)
    if predictor is not None:
        values = np.concatenate(answers)
        planes = values.shape[1] - predictor.feature_count
        features, labels = values[:, planes:], _labels(package, values[:, :planes])
        predictor.close()
    held_out = of % 2 == 1

    def part(chosen: NDArray[np.bool_]) -> Measured:
        return Measured(
            looks[chosen],
            of[chosen],
            labels[chosen],
            None if features is None else features[chosen],
        )

    found = measure(unit, part(~held_out), part(held_out))
    if found is None:
        raise UsageError(f"the {unit}s show hardly any tissue")
    return found


def add_statistics(package: ModelPackage, statistics: TrainingStatistics, out: Path) -> None:
    """Write the package anew, with the statistics, whole or not at all.

    It is another package then: its SHA-256 differs.

    Raises:
        PackageError: there is something at ``out``.
        OSError: it cannot be written.
    """
    if out.exists():
        raise PackageError(out, "exists already; choose another -o")
    with durable.replacing_folder(out) as fresh:
        for name in package.description.files:
            if name != TRAINING_FEATURES:
                shutil.copyfile(package.folder / name, fresh / name)
        write_statistics(fresh, statistics)
        write_description(fresh, package.description.model_dump(mode="json", exclude={"files"}))


def of_slides(
    paths: Sequence[Path], package: ModelPackage, told: Callable[[Path], None]
) -> Iterator[Sample]:
    """Tiles spread over the tissue of each slide; slides without tissue are left out.

    Raises:
        SlideError: a slide cannot be analysed with this package.
    """
    for path in paths:
        told(path)
        prepared = prepare(path, package, AnalysisSettings())
        try:
            grid, cells = prepared.plan.grid, prepared.plan.cells
            patches: list[Patches] = []
            for column, row in cells[spread(len(cells), _TILES)]:
                try:
                    patches.append(read_input(prepared.reader, grid, int(column), int(row)))
                except DamagedSlideError:
                    continue
            if patches:
                mpp = grid.mpp_0.side * grid.downsample * grid.scale
                yield Sample(np.stack(patches), mpp)
        finally:
            prepared.reader.close()


def of_images(
    images: Sequence[LabelledImage], package: ModelPackage, told: Callable[[Path], None]
) -> Iterator[Sample]:
    """Each image as the model sees it; those that cannot be read are left out."""
    about = package.description
    ahead = 4 * len(os.sched_getaffinity(0))
    for read in read_ahead(images, about.patch_px, intake_of(about), ahead=ahead):
        told(read.image.path)
        if read.square is not None:
            yield Sample(read.square[None], None)


def _with_features(package: ModelPackage, request: RuntimeRequest) -> Predictor | None:
    """The model, answering with features; None where it has none: then looks alone are kept."""
    if package.description.map is not None:
        return None
    # Both, or what is taken for features would be empty, or classes.
    both = replace(request, head="both")
    try:
        return load_predictor(package, both, threshold=package.description.threshold.value)
    except WsiError:
        return None


def _labels(package: ModelPackage, answers: NDArray[np.float32]) -> NDArray[np.int64]:
    """What the model calls each patch: features lie around the mean of a class."""
    if answers.shape[1] == 1:
        reached = answers[:, 0] >= np.float32(package.description.threshold.value)
        return np.asarray(reached, np.int64)
    return np.asarray(answers.argmax(axis=1), np.int64)
