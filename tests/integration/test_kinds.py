"""A model of several classes knows the kinds of tissue that are planted on a slide it never saw."""

import numpy as np
import pytest
import torch

from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.synth import CLASSES, labelled_patches
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX, fit_kinds_network


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return fit_kinds_network()


def test_it_knows_every_kind_on_another_slide(network: torch.nn.Module) -> None:
    patches, labels = labelled_patches(
        16, seed=9, patch_px=KINDS_PATCH_PX, mpp=KINDS_MPP, slide_px=4096
    )
    # As the model normalises them: from 0-255 to -1 to 1.
    with torch.inference_mode():
        logits = network((as_pixels(patches) - 127.5) / 127.5)
    found = logits.argmax(dim=1).numpy()
    assert logits.shape == (64, len(CLASSES))
    for index in range(len(CLASSES)):
        assert (found[labels == index] == index).mean() >= 0.85
    assert (found == labels).mean() >= 0.95
    assert np.isfinite(logits.numpy()).all()
