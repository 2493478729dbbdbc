"""The fingerprint tells analyses apart, and nothing else does."""

from typing import Any

import pytest

from wsi_pipeline import analysis_settings as module
from wsi_pipeline.analysis_settings import AnalysisSettings

OTHER: dict[str, Any] = {
    "mpp": 0.5,
    "level": 1,
    "stride": 100,
    "grid": "wsinfer",
    "min_tissue": 0.4,
    "tissue": "exact",
    "qc": "reject",
    "qc_limit": 0.2,
    "slide_mpp": 0.5,
    "threshold": 0.7,
    "allow_unreadable": 0.1,
    "device": "cpu",
    "precision": "fp32",
    "runtime": "torch",
    "features": "float16",
    "tta": True,
    "screen": "off",
}


#: Where it runs, and what it was allowed to lack, do not change the arrays of what stands.
INDECISIVE = {"device", "allow_unreadable"}


def print_of(**settings: Any) -> str:
    """The fingerprint with a package of 0.25 µm/px, patches of 299 px and threshold 0.5."""
    return AnalysisSettings(**settings).fingerprint(mpp=0.25, level=None, stride=299, threshold=0.5)


def test_every_decisive_setting_is_in_the_fingerprint() -> None:
    assert set(OTHER) == set(AnalysisSettings.model_fields)
    decisive = {key: value for key, value in OTHER.items() if key not in INDECISIVE}
    prints = {print_of(**{key: value}) for key, value in decisive.items()}
    assert len(prints | {print_of()}) == len(decisive) + 1


@pytest.mark.parametrize("key", sorted(INDECISIVE))
def test_an_indecisive_setting_is_not(key: str) -> None:
    assert print_of(**{key: OTHER[key]}) == print_of()


def test_what_is_left_to_the_package_counts_as_given() -> None:
    assert print_of(mpp=0.25, stride=299, threshold=0.5) == print_of()
    assert print_of(level=1, mpp=0.5) == print_of(level=1)


def test_a_package_by_level_differs_from_one_by_resolution() -> None:
    by_level = AnalysisSettings().fingerprint(mpp=None, level=1, stride=299, threshold=0.5)
    assert by_level != print_of()


def test_the_usual_grid_and_no_quality_control_are_in_no_fingerprint() -> None:
    """Results from before there was another grid, or quality control, are still found."""
    expected = "c3dabe095c1faf219349452641d4e8faddc6338cf16f9b557f2b255b1186952d"
    assert print_of(qc="off") == print_of(qc="off", qc_limit=0.2) == expected


def test_a_new_revision_makes_old_results_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = print_of()
    monkeypatch.setattr(module, "ANALYSIS_REVISION", module.ANALYSIS_REVISION + 1)
    assert print_of() != before
