"""One training from patches to package: what decides what, and what is written."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.model.package import load_package
from wsi_pipeline.training.folders import check_free, discard, report_path, work_folder
from wsi_pipeline.training.images import Example, ImageSource
from wsi_pipeline.training.request import Naming
from wsi_pipeline.training.session import Job, Place, _fingerprints, train


def test_a_package_and_its_report(make_job: Any, place: Place) -> None:
    job = make_job()
    report = train(job, place)
    package = load_package(job.out)
    description = package.description
    assert description.training.synthetic
    assert description.training.colours is not None
    assert description.patch_px == 32
    assert description.threshold.value == report["threshold"]["value"]
    assert description.threshold.chosen.startswith("recall=0.95 on 35 validation patches only")
    assert description.calibration.temperature == report["calibration"]["temperature"]
    patches, probabilities = package.reference()
    assert len(patches) == len(probabilities) >= 16
    assert probabilities.min() < description.threshold.value < probabilities.max()
    assert len(package.calibration()) > 0
    written = json.loads(report_path(job.out).read_text())
    assert written["package_sha256"] == package.sha256
    assert (
        written["calibration"]["before"]["ece"]
        == description.training.metrics["validation_ece_before"]
    )
    assert written["validation"]["majority_baseline"]["accuracy"] >= 0.5
    assert written["validation"]["auc"]["low"] <= written["validation"]["auc"]["value"]
    # What only an unfinished training needs is gone; its curves stay.
    assert [path.name for path in work_folder(job.out).iterdir()] == ["logs"]


def test_the_same_command_finds_it_finished(make_job: Any, place: Place) -> None:
    first = train(make_job(), place)
    before = (make_job().out / "model.yaml").stat().st_mtime_ns
    again = train(make_job(), place)
    assert again["package_sha256"] == first["package_sha256"]
    assert (make_job().out / "model.yaml").stat().st_mtime_ns == before


def test_another_training_does_not_replace_it(make_job: Any, place: Place, small: Any) -> None:
    job = make_job()
    train(job, place)
    with pytest.raises(UsageError, match="--overwrite"):
        train(make_job(recipe=small(epochs=1)), place)
    check_free(job.out, overwrite=True)
    train(make_job(recipe=small(epochs=1)), place)
    facts = yaml.safe_load((job.out / "model.yaml").read_text())
    assert facts["name"] == "small"


def test_a_report_is_also_of_the_images_it_was_measured_on(make_job: Any) -> None:
    """A corrected label or source of a test image, or another class of interest: measure again."""

    def job(label: int = 0, source: str | None = None, positive: str = "a") -> Job:
        images = [Example(Path("a.png"), label, 0, source, "", "", (8, 8))]
        part = ImageSource(images, 2, 8, Intake(ImageFit()))
        naming = Naming("m", "1", "none", "data", False, ("a", "b"), positive)
        found: Job = replace(make_job(), validation=part, test=part, naming=naming)
        return found

    run: Any = SimpleNamespace(fingerprint="weights")
    known = {
        tuple(_fingerprints(one, [run]))
        for one in (job(), job(1), job(source="far"), job(positive="b"), job())
    }
    assert len(known) == 4
    assert {one[0] for one in known} == {"weights"}
    assert _fingerprints(make_job(), [run]) == ["weights"]


def test_validation_alone_decides_temperature_and_threshold(
    make_job: Any, place: Place, memory: Any, small: Any
) -> None:
    """Other validation patches change decisions, and no weight."""
    recipe = small(epochs=1)
    plain = train(make_job("plain", recipe=recipe), place)
    other = train(make_job("other", recipe=recipe, validation=memory(50, seed=7)), place)
    assert other["threshold"]["value"] != plain["threshold"]["value"]
    assert plain["calibration"]["chosen_on"] == "validation patches only"
    assert plain["test"] is None
    weights = [
        load_package(make_job(name).out).description.files["weights.safetensors"]
        for name in ("plain", "other")
    ]
    assert len(set(weights)) == 1


def test_a_search_keeps_the_best(make_job: Any, place: Place, small: Any) -> None:
    recipe = small(epochs=1, selection={"recall_floor": 0.0})
    terms = ("learning_rate=1e-9,0.01",)
    report = train(make_job(recipe=recipe, search=terms), place)
    figures = [entry["validation"]["auc"] for entry in report["search"]]
    assert len(figures) == 2
    assert report["best"]["validation"]["auc"] == max(figures)
    assert report["recipe"]["optimiser"]["learning_rate"] == [1e-9, 0.01][np.argmax(figures)]
    again = train(make_job(recipe=recipe, search=terms), place)
    assert again["package_sha256"] == report["package_sha256"]


def test_too_few_patches_to_validate_on(make_job: Any, place: Place, memory: Any) -> None:
    with pytest.raises(CohortError, match="needs 16"):
        train(make_job(validation=memory(10, seed=3)), place)


def test_what_is_there_is_not_replaced_by_accident(tmp_path: Path) -> None:
    out = tmp_path / "package"
    out.mkdir()
    with pytest.raises(UsageError, match="is no model package"):
        check_free(out, overwrite=True)
    (out / "model.yaml").touch()
    with pytest.raises(UsageError, match="--overwrite"):
        check_free(out, overwrite=False)
    check_free(out, overwrite=True)


def test_an_unfinished_training_can_be_discarded(make_job: Any, place: Place) -> None:
    job = make_job()
    work_folder(job.out).mkdir()
    (work_folder(job.out) / "checkpoint.pt").write_bytes(b"half")
    discard(job.out)
    assert not work_folder(job.out).exists()


def test_measures_know_when_an_interval_has_no_meaning() -> None:
    from wsi_pipeline.training.patch_metrics import measures

    rng = np.random.default_rng(1)
    labels = rng.random(60) < 0.5
    scores = np.clip(labels * 0.3 + rng.random(60) * 0.7, 0, 1)
    alone = measures(labels, scores, np.zeros(60, np.int32), 0.5)
    assert alone["auc"]["value"] is not None
    assert alone["auc"]["low"] is alone["auc"]["high"] is None
    several = measures(labels, scores, np.repeat(np.arange(12), 5).astype(np.int32), 0.5)
    assert several["auc"]["low"] < several["auc"]["value"] < several["auc"]["high"]
    assert several["majority_baseline"]["accuracy"] == pytest.approx(
        max(labels.mean(), 1 - labels.mean()), abs=1e-6
    )
