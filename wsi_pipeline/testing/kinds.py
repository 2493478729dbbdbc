"""Small real packages of every task, for the kinds of tissue that ``wsi synth`` plants."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Task
from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.synth import CLASSES, KINDS, labelled_patches
from wsi_pipeline.testing.models import model_fields

#: Side of a patch in px of :data:`KINDS_MPP`: 256 level-0 px of a synthetic slide.
KINDS_PATCH_PX = 64
KINDS_MPP = 1.0
#: Colours of the classes, as the package states them.
KINDS_COLOURS = dict(zip(CLASSES, ("#4caf50", "#d50000", "#f58231", "#42d4f4"), strict=True))
#: Side of the slide that patches are cut from, level-0 px: small, so that it is drawn in seconds.
_SLIDE_PX = 4096
_PATCHES_PER_CLASS = 48
_RIDGE = 10.0


def make_kinds_package(
    folder: Path,
    *,
    task: Task = "multiclass",
    positive: str = "tumour",
    seed: int = 1,
    **description: Any,
) -> ModelPackage:
    """Write a package with a real ``baseline`` network fitted to drawn patches of every class.

    Its convolutions are random, its last layer is fitted. Takes seconds: keep it for a session.
    Needs torch.

    Args:
        folder: Made if it is missing.
        task: ``multiclass``: normal tissue and every kind. ``multilabel``: every kind, by itself.
            ``binary``: the positive kind.
        positive: The kind that slides are ranked by.
        seed: Of the weights and of the slide that the patches are cut from.
        description: Fields of ``model.yaml`` that differ from the usual ones.
    """
    import torch  # noqa: PLC0415 - takes seconds, and few tests need it

    from wsi_pipeline.model.linear_probe import (  # noqa: PLC0415 - imports torch
        as_pixels,
        draw_weights,
        fit_head,
        one_hot,
        pooled_features,
        set_head,
    )
    from wsi_pipeline.model.network import (  # noqa: PLC0415 - imports torch
        Classifier,
        save_weights,
    )

    patches, labels = labelled_patches(
        _PATCHES_PER_CLASS,
        seed=seed,
        patch_px=KINDS_PATCH_PX,
        mpp=KINDS_MPP,
        slide_px=_SLIDE_PX,
    )
    fields = {**_described(task, positive), **description}
    pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
    described = ModelDescription.model_validate({**fields, "files": pins})
    classifier = Classifier(described)
    draw_weights(classifier.network, seed)
    classifier.eval()
    features = pooled_features(classifier, patches, batch=16)
    if task == "multiclass":
        head = fit_head(features, one_hot(labels, len(CLASSES)), _RIDGE)
    else:
        names = [one.name for one in described.classification.planes]
        targets = [(labels == CLASSES.index(name)).astype(np.float64) for name in names]
        fitted = [fit_head(features, one, _RIDGE) for one in targets]
        head = np.stack([one[0] for one in fitted], axis=1), np.array([one[1] for one in fitted])
    set_head(classifier, *head)
    references = _references(patches[::_PATCHES_PER_CLASS])
    with torch.inference_mode():
        probabilities = classifier(as_pixels(references)).numpy()
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(classifier.network, folder / WEIGHTS)
    np.savez(folder / REFERENCE, patches=references, probabilities=probabilities)
    return write_description(folder, fields)


def draw_kinds(
    columns: int, rows: int, *, seed: int = 5
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A slide whose cells are of one kind each, in no order.

    Returns:
        Level 0 at :data:`KINDS_MPP`, uint8 ``(rows * patch, columns * patch, 3)``, and the kinds as
        indices in :data:`~wsi_pipeline.synth.CLASSES`, ``(rows, columns)``.
    """
    side, count = KINDS_PATCH_PX, 8
    patches, _ = labelled_patches(
        count, seed=seed, patch_px=side, mpp=KINDS_MPP, slide_px=_SLIDE_PX
    )
    rng = np.random.default_rng(seed)
    kinds = rng.integers(len(CLASSES), size=(rows, columns))
    cells = patches[kinds * count + rng.integers(count, size=kinds.shape)]
    image = cells.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    return np.ascontiguousarray(image), kinds


def _references(pure: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A patch of each class, and of each two: half of one beside half of the other.

    The halves give probabilities between 0 and 1, in which runtimes differ most.
    """
    half = KINDS_PATCH_PX // 2
    pairs = itertools.permutations(pure, 2)
    mixed = [np.concatenate([one[:, :half], other[:, half:]], axis=1) for one, other in pairs]
    return np.stack([*pure, *mixed])


def _described(task: Task, positive: str) -> dict[str, Any]:
    named = {"multiclass": CLASSES, "multilabel": KINDS, "binary": ("other", positive)}[task]
    return model_fields(
        KINDS_PATCH_PX,
        name="kinds",
        architecture={"name": "baseline", "pooling": "average", "dropout": 0.0},
        task=task,
        classes=[
            {"name": name, "colour": KINDS_COLOURS[name]} if name in KINDS_COLOURS else name
            for name in named
        ],
        positive=positive,
        mpp=KINDS_MPP,
        training={"data": "patches of one synthetic slide", "synthetic": True},
    )
