"""A small real network of several classes: the kinds of tissue that ``wsi synth`` plants."""

from typing import TYPE_CHECKING, Any

from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.synth import CLASSES, labelled_patches

if TYPE_CHECKING:
    from torch import nn

#: Side of a patch in px of :data:`KINDS_MPP`: 256 level-0 px of a synthetic slide.
KINDS_PATCH_PX = 64
KINDS_MPP = 1.0
#: Side of the slide that patches are cut from, level-0 px: small, so that it is drawn in seconds.
_SLIDE_PX = 4096
_PATCHES_PER_CLASS = 48
_RIDGE = 1.0


def fit_kinds_network(*, seed: int = 1) -> "nn.Module":
    """Fit a ``baseline`` network to drawn patches of every class.

    Its convolutions are random, its last layer is fitted. Takes seconds: keep it for a session.
    Needs torch.

    Args:
        seed: Of the weights and of the slide that the patches are cut from.

    Returns:
        In evaluation mode: normalised patches in, one logit for each of
        :data:`~wsi_pipeline.synth.planting.CLASSES` out, to be followed by a softmax.
    """
    from torch import nn  # noqa: PLC0415 - takes seconds, and few tests need it

    from wsi_pipeline.model.linear_probe import (  # noqa: PLC0415 - imports torch
        draw_weights,
        fit_head,
        one_hot,
        pooled_features,
        set_head,
    )
    from wsi_pipeline.model.network import Classifier  # noqa: PLC0415 - imports torch

    patches, labels = labelled_patches(
        _PATCHES_PER_CLASS,
        seed=seed,
        patch_px=KINDS_PATCH_PX,
        mpp=KINDS_MPP,
        slide_px=_SLIDE_PX,
    )
    pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
    classifier = Classifier(ModelDescription.model_validate({**_described(), "files": pins}))
    classifier.network.fc = nn.Linear(classifier.head.in_features, len(CLASSES))
    draw_weights(classifier.network, seed)
    classifier.eval()
    features = pooled_features(classifier, patches, batch=16)
    set_head(classifier, *fit_head(features, one_hot(labels, len(CLASSES)), _RIDGE))
    return classifier.network


def _described() -> dict[str, Any]:
    return {
        "name": "kinds",
        "version": "1",
        "architecture": {"name": "baseline", "pooling": "average", "dropout": 0.0},
        "patch_px": KINDS_PATCH_PX,
        "mpp": KINDS_MPP,
        "threshold": {"value": 0.5, "chosen": "by definition"},
        "training": {"data": "patches of one synthetic slide", "synthetic": True},
        "licence": "Apache-2.0",
        "intended_use": "tests",
        "tolerance": {"fp32": 1e-4, "bf16": 0.1, "fp16": 0.1, "int8": 0.25},
    }
