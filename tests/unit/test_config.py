"""The fingerprint tells analyses apart, and nothing else does."""

from typing import Any

import pytest
from pydantic import ValidationError

from wsi_pipeline import config as module
from wsi_pipeline.config import AnalysisConfig

OTHER: dict[str, Any] = {
    "mpp": 0.5,
    "level": 1,
    "stride": 100,
    "min_tissue": 0.4,
    "tissue": "exact",
    "slide_mpp": 0.5,
    "threshold": 0.7,
    "allow_unreadable": 0.1,
    "device": "cpu",
    "precision": "fp32",
    "runtime": "torch",
}


def test_every_setting_is_in_the_fingerprint() -> None:
    assert set(OTHER) == set(AnalysisConfig.model_fields)
    prints = {AnalysisConfig(**{key: value}).fingerprint for key, value in OTHER.items()}
    assert len(prints | {AnalysisConfig().fingerprint}) == len(OTHER) + 1


def test_equal_settings_have_equal_fingerprints() -> None:
    one = AnalysisConfig(mpp=0.5, stride=100)
    assert one.fingerprint == AnalysisConfig(stride=100, mpp=0.5, threshold=None).fingerprint
    assert one.fingerprint == AnalysisConfig.model_validate(one.model_dump()).fingerprint


def test_a_new_revision_makes_old_results_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = AnalysisConfig().fingerprint
    monkeypatch.setattr(module, "ANALYSIS_REVISION", module.ANALYSIS_REVISION + 1)
    assert AnalysisConfig().fingerprint != before


@pytest.mark.parametrize(
    "wrong",
    [
        {"mpp": 0},
        {"level": -1},
        {"stride": 0},
        {"min_tissue": 1.1},
        {"threshold": 1},
        {"threshold": 0},
        {"slide_mpp": 352},
        {"allow_unreadable": -0.1},
        {"precision": "fp8"},
        {"strides": 3},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnalysisConfig(**wrong)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        AnalysisConfig().stride = 5
