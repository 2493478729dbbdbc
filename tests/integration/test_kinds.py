"""A model of several classes knows the kinds of tissue that are planted on a slide it never saw."""

import numpy as np
import torch

from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.synth import CLASSES, labelled_patches
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX


def test_it_knows_every_kind_on_another_slide(kinds_package: ModelPackage) -> None:
    assert kinds_package.classes.names == CLASSES
    patches, labels = labelled_patches(
        16, seed=9, patch_px=KINDS_PATCH_PX, mpp=KINDS_MPP, slide_px=4096
    )
    with torch.inference_mode():
        probabilities = load_classifier(kinds_package)(as_pixels(patches)).numpy()
    assert probabilities.shape == (64, len(CLASSES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    found = probabilities.argmax(axis=1)
    for index in range(len(CLASSES)):
        assert (found[labels == index] == index).mean() >= 0.85
    assert (found == labels).mean() >= 0.95
