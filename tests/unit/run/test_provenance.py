"""The JSON that a result keeps of itself has the fields it always had, in their order."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsi_pipeline.model.slide_level_section import (
    SlideCalibrationNote,
    SlideLevelSection,
    SlideRule,
)
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide_level.calibration import SlideCalibration
from wsi_pipeline.slide_level.features import feature_names
from wsi_pipeline.slide_level.region_fit import LogisticScorer, RegionFit
from wsi_pipeline.training.slide_level.package import write_with_fit

#: What programs that read results rely on. Fields may be added; none may go or be renamed.
KEYS = {
    "format": {},
    "slide": {
        "name": {},
        "sha256": {},
        "vendor": {},
        "width": {},
        "height": {},
        "mpp": {"x": {}, "y": {}},
        "mpp_source": {},
        "mpp_file": {"x": {}, "y": {}},
        "levels": [{"width": {}, "height": {}, "downsample": {}}],
        "level": {},
        "colours_corrected": {},
    },
    "model": {
        "name": {},
        "version": {},
        "sha256": {},
        "mpp": {},
        "level": {},
        "synthetic": {},
        "intended_use": {},
        "notice": {},
    },
    "configuration": None,
    "fingerprint": {},
    "classes": {"task": {}, "members": None, "positive": {}},
    "threshold": {},
    "grid": {
        "columns": {},
        "rows": {},
        "patch_px": {},
        "stride_px": {},
        "map_px": {},
        "margin_px": {},
        "scale": {},
        "stretch": {"x": {}, "y": {}},
        "cell_px_0": {},
        "cell_height_px_0": {},
        "patch_px_0": {},
        "patch_height_px_0": {},
        "mpp": {"x": {}, "y": {}},
        "kind": {},
    },
    "runtime": {"runtime": {}, "device": {}, "precision": {}},
    "software": None,
    "counts": {
        "empty": {},
        "classified": {},
        "glass": {},
        "unreadable": {},
        "rejected": {},
        "screened": {},
    },
    "tiles": {},
    "tissue": {"rule": {}, "tiles_read_to_decide": {}, "full_resolution_reads_saved": {}},
    "pixels": {},
    "slide_score": {},
    "slide_score_rule": {},
    "tumour_area_mm2": {},
    "tissue_area_mm2": {},
    "tumour_percent": {},
    "class_areas_mm2": None,
    "controls": {"cells": None, "probabilities": None},
    "colours": {
        "tiles": {},
        "mean": None,
        "std": None,
        "training": {"patches": {}, "mean": None, "std": None},
        "distance": {},
    },
    "shift": {
        "unit": {},
        "level": {},
        "p_value": {},
        "distance": {},
        "reason": {},
        "kinds": None,
        "far": {},
        "far_tiles": {},
        "nearest": {},
        "usual_nearest": {},
        "nuclei": {},
        "training_nuclei": {},
        "swapped": {},
    },
    "slide_answer": {
        "method": {},
        "probability": {},
        "low": {},
        "high": {},
        "probabilities": None,
        "state": {},
        "reason": {},
        "rule": {},
    },
    "quality": {
        "method": {},
        "mode": {},
        "limit": {},
        "tiles": {},
        "marked": {},
        "reasons": None,
        "rejected": {},
        "withheld": {},
        "focus": {},
        "notes": None,
        "thresholds": None,
    },
    "features": {},
    "stain": {},
    "spread": {},
    "screen": {},
    "warnings": None,
    "alarms": [{"code": {}, "message": {}}],
    "timings": {
        "classify_seconds": {},
        "read_thread_seconds": {},
        "model_wait_seconds": {},
        "resumed_tiles": {},
    },
    "arrays": None,
    "metadata": None,
    "digest": {},
}


def outline(value: Any, like: Any) -> Any:
    """The names in a value, as deep as the pattern tells."""
    if like is None:
        return None
    if isinstance(like, list):
        return [outline(value[0], like[0])]
    if isinstance(value, dict):
        return {key: outline(item, like.get(key, {})) for key, item in value.items()}
    return {}


def test_the_fields_of_the_store_are_what_they_were(
    tmp_path: Path, make_slide: Callable[..., Path], make_work: Callable[..., Work]
) -> None:
    work = make_work()
    prepared = prepare(make_slide(), work.package, work.analysis)
    result = analyse_slide(prepared, tmp_path / "a.zarr", work)
    assert result.alarms, "the slide is small and its model a made-up one"
    found = outline(result.attributes, KEYS)
    assert found == KEYS
    assert list(found) == list(KEYS)
    seal = {"format", "arrays", "metadata", "digest"}
    told = {key: value for key, value in result.attributes.items() if key not in seal}
    assert result.record.to_json() == told
    assert (result.slide_score, result.tumour_area_mm2, result.tissue_area_mm2) == (
        told["slide_score"],
        told["tumour_area_mm2"],
        told["tissue_area_mm2"],
    )
    assert (result.name, result.tiles) == (told["slide"]["name"], told["tiles"])


def test_without_a_fit_the_score_is_the_largest_cell_and_somebody_has_to_look(
    tmp_path: Path, make_slide: Callable[..., Path], make_work: Callable[..., Work]
) -> None:
    work = make_work()
    prepared = prepare(make_slide(), work.package, work.analysis)
    result = analyse_slide(prepared, tmp_path / "a.zarr", work)
    answer = result.record.slide_answer
    assert answer is not None
    assert (answer.method, answer.state, answer.probability) == ("max", "look-again", None)
    assert "wsi train --slide-level" in answer.reason
    assert result.slide_score == np.nanmax(result.probability)
    assert result.record.slide_score_rule == "largest cell probability"


@pytest.mark.parametrize(("logit", "state"), [(-3.0, "look-again"), (0.0, "suspicious")])
def test_a_fit_of_the_package_answers_for_the_slide(
    logit: float,
    state: str,
    tmp_path: Path,
    make_slide: Callable[..., Path],
    make_work: Callable[..., Work],
) -> None:
    """The fit calls all slides the same; alarms of this small one forbid to call it clear."""
    work = make_work()
    count = len(feature_names(work.package.classes))
    scorer = LogisticScorer(
        np.zeros(count),
        np.ones(count),
        np.zeros((3, 2, count)),
        np.array([[0, logit], [0, logit - 1], [0, logit + 1]]),
    )
    fit = RegionFit(scorer, SlideCalibration(1.0, np.zeros(2), np.tile([1.0, 0, 0], (2, 1))))
    section = SlideLevelSection(
        kind="regions-logistic",
        classes=("normal", "tumour"),
        negative="normal",
        fitted="by hand",
        slides={"normal": 70, "tumour": 30},
        patients=100,
        calibration=SlideCalibrationNote(method="none", fitted="by hand"),
        rule=SlideRule(
            slides=100, positives=30, clear_below=0.1, suspicious_from=0.4, needed=60, clear=62
        ),
    )
    package = write_with_fit(
        work.package, tmp_path / "p", section, fit, version="2", overwrite=False
    )
    work = dataclasses.replace(work, package=package)
    prepared = prepare(make_slide(), package, work.analysis)
    result = analyse_slide(prepared, tmp_path / "a.zarr", work)
    record, answer = result.record, result.record.slide_answer
    assert answer is not None
    assert answer.probability is not None
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < answer.probability < answer.high
    assert answer.state == state
    assert record.slide_score == answer.probability
    assert (
        record.slide_score_rule
        == "probability of the slide by the package's fit (regions-logistic)"
    )
    assert answer.rule is not None
    assert (answer.rule.alpha, answer.rule.slides) == (0.05, 100)
    if state == "look-again":
        assert "too-few-tiles" in answer.reason
