"""The fitted answer for slides beats the largest cell where single cells are wrong."""

from pathlib import Path

import pytest

from benchmarks.slide_level import measure
from wsi_pipeline.model.package import ModelPackage


@pytest.mark.slow
def test_planted_wrong_cells_do_not_decide_a_fitted_answer(
    package: ModelPackage, tmp_path: Path
) -> None:
    """Small slides, a real network, one seed; the benchmark has more."""
    found = measure(tmp_path, package, slides=40, seed=1, kind="regions-logistic")
    assert found["auc"]["value"] > 0.9
    assert found["auc_max"]["value"] < 0.8
    assert found["auc_difference"]["low"] > 0
    assert found["auc_difference"]["delong_p"] < 0.01
