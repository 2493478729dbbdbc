"""A package learns what its training data look like, whatever its model was asked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.familiarise import Sample, familiarise
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing.kinds import KINDS_PATCH_PX, draw_kinds


def samples() -> Iterator[Sample]:
    """Eight units of four patches each, cut from a drawing of kinds."""
    side = KINDS_PATCH_PX
    image, _ = draw_kinds(8, 4)
    patches = image.reshape(4, side, 8, side, 3).transpose(2, 0, 1, 3, 4)
    for some in patches:
        yield Sample(np.ascontiguousarray(some), None)


@pytest.mark.parametrize("head", ["classes", "features", "both"])
def test_features_are_kept_whatever_the_request_says_of_them(
    kinds_package: ModelPackage, tmp_path: Path, head: Head
) -> None:
    request = RuntimeRequest("cpu", "fp32", tmp_path, runtime="torch", head=head)
    found = familiarise(kinds_package, samples(), "slide", request)
    assert found.features is not None
    assert len(found.features.density.means[0]) == 64
    for name, array in found.arrays().items():
        if name != "nuclei":  # so few patches tell no size
            assert np.isfinite(array.astype(np.float64)).all(), name
