"""Whole evaluations of made-up slides whose figures can be worked out by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laboratory_support import Laboratory, asap

from wsi_pipeline.cohort.table import Cohort, CohortSlide
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.evaluation import Evaluation, evaluate
from wsi_pipeline.evaluation.settings import EvaluationSettings, FrocRule, TileRule

QUICK = EvaluationSettings(resamples=50, tile_rule=TileRule("any", 0))


def run(cohort: Cohort, sources: Sources, settings: EvaluationSettings = QUICK) -> Evaluation:
    return evaluate(cohort, pair(cohort, sources, None), settings, workers=1)


def run_results(
    laboratory: Laboratory, *slides: CohortSlide, settings: EvaluationSettings = QUICK
) -> Evaluation:
    return run(laboratory.cohort(*slides), Sources((laboratory.results,)), settings)


def table(folder: Path, values: dict[str, float]) -> Sources:
    path = folder / "scores.csv"
    path.write_text("slide,score\n" + "".join(f"{k},{v}\n" for k, v in values.items()))
    return Sources(scores=path)


def rows(labels: dict[str, str], **facts: Any) -> Cohort:
    return Cohort(
        tuple(CohortSlide(name, label, name, **facts) for name, label in labels.items())  # type: ignore[arg-type]  # labels of the table
    )


def row_of(evaluation: Evaluation, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in evaluation.metrics["slides"] if r["slide"] == name)
    return found


def levels(evaluation: Evaluation, group: str = "all") -> dict[str, Any]:
    found: dict[str, Any] = evaluation.metrics["groups"][group]
    return found


def test_every_level_by_hand(laboratory: Laboratory) -> None:
    """One slide of two cells of tumour, of which one is found and a normal one is called too."""
    tumour = laboratory.slide("t", [[0.9, 0.2, 0.1, 0.8]], [(0, 0, 200, 100)])
    normal = laboratory.slide("n", [[0.6, 0.1, 0.1, 0.1]])
    evaluation = run_results(laboratory, tumour, normal)
    every = levels(evaluation)
    assert every["slide_level"]["auc"]["value"] == 1
    assert every["slide_level"]["decision"]["confusion"] == {"tp": 1, "fp": 1, "tn": 0, "fn": 0}
    patch = every["patch_level"]
    assert patch["confusion"] == {"tp": 1, "fp": 2, "tn": 4, "fn": 1}
    assert patch["precision"]["value"] == pytest.approx(1 / 3)
    assert patch["majority_baseline"]["accuracy"] == 6 / 8
    assert patch["majority_baseline"]["answers"] == "normal"
    # .9 beats all six normal cells; .2 loses to .8 and .6 and beats four.
    assert patch["auc"]["value"] == pytest.approx((6 + 4) / 12)
    masks = every["segmentation"]
    assert masks["dice"]["mean"]["value"] == pytest.approx(2 * 1 / (2 + 2))
    assert masks["iou"]["mean"]["value"] == pytest.approx(1 / 3)
    assert masks["false_mm2_per_normal_slide"]["value"] == pytest.approx(0.0025)
    assert evaluation.complete
    json.dumps(evaluation.metrics, allow_nan=False)


def test_the_detections_of_a_heatmap_meet_the_lesions(laboratory: Laboratory) -> None:
    """20 cells of 50 µm: tumour of 6 × 2 of them, 300 µm long; a false alarm far away."""
    values = np.full((4, 20), 0.05)
    values[1, 2:6], values[2, 17] = (0.7, 0.8, 0.9, 0.7), 0.6
    tumour = laboratory.slide("t", values.tolist(), [(200, 100, 600, 200)])
    normal = laboratory.slide("n", np.full((4, 20), 0.05).tolist())
    evaluation = run_results(laboratory, tumour, normal)
    level = levels(evaluation)["lesion_level"]
    assert (level["lesions"], level["found"], level["detections"]) == (1, 1, 2)
    # Scores .9 and .6, nothing missed: .6 is dropped, no false positive is left.
    assert level["froc"]["value"] == 1
    assert level["curve"]["false_positives"] == [0, 0]
    assert evaluation.slides[0].detections is not None
    assert evaluation.slides[0].detections.x.tolist() == [450, 1750]
    assert evaluation.slides[1].detections is not None
    assert len(evaluation.slides[1].detections) == 0
    assert row_of(evaluation, "t")["kind"] == "micro"
    assert row_of(evaluation, "t")["lesion_extents_um"][0] > 275


def test_ties_in_scores_count_half(tmp_path: Path) -> None:
    cohort = rows({"a": "tumour", "b": "tumour", "c": "normal", "d": "normal"})
    evaluation = run(cohort, table(tmp_path, {"a": 3, "b": 0.5, "c": 0.5, "d": -2}))
    level = levels(evaluation)["slide_level"]
    assert level["auc"]["value"] == 3.5 / 4
    assert level["decision"] is None  # nobody said from which score on
    assert levels(evaluation)["patch_level"] is None
    assert levels(evaluation)["lesion_level"] is None
    with_threshold = replace(QUICK, threshold=0.5)
    evaluation = run(cohort, table(tmp_path, {"a": 3, "b": 0.5, "c": 0.5, "d": -2}), with_threshold)
    decision = levels(evaluation)["slide_level"]["decision"]
    assert decision["confusion"] == {"tp": 2, "fp": 1, "tn": 1, "fn": 0}


def test_one_class_has_no_auc(tmp_path: Path) -> None:
    evaluation = run(rows({"a": "tumour"}), table(tmp_path, {"a": 0.5}))
    assert levels(evaluation)["slide_level"]["auc"] == {"value": None, "low": None, "high": None}


def test_intervals_are_the_seeds(tmp_path: Path) -> None:
    labels = {f"s{n}": "tumour" if n % 2 else "normal" for n in range(30)}
    scores = {name: math.sin(7 * n) + (n % 2) for n, name in enumerate(labels)}

    def auc(seed: int) -> dict[str, float]:
        settings = replace(QUICK, seed=seed, resamples=300)
        evaluation = run(rows(labels), table(tmp_path, scores), settings)
        found: dict[str, float] = levels(evaluation)["slide_level"]["auc"]
        return found

    assert auc(1) == auc(1)
    assert auc(1) != auc(2)
    assert auc(1)["low"] < auc(1)["value"] < auc(1)["high"]


def partly(laboratory: Laboratory, state: str) -> Evaluation:
    """A slide with an annotated cell of tumour, an unannotated one called, and a normal slide."""
    tumour = laboratory.slide("t", [[0.9, 0.2, 0.1, 0.8]], [(0, 0, 100, 100)], annotated=state)
    normal = laboratory.slide("n", [[0.1, 0.1, 0.1, 0.1]])
    return run_results(laboratory, tumour, normal)


def test_unannotated_tissue_of_partly_annotated_slides_is_no_negative(
    laboratory: Laboratory,
) -> None:
    evaluation = partly(laboratory, "partial")
    assert levels(evaluation)["patch_level"]["confusion"] == {"tp": 1, "fp": 0, "tn": 4, "fn": 0}
    row = row_of(evaluation, "t")
    assert row["notes"]["lesions"] == "not all of its tumour is annotated"
    assert row["notes"]["overlap"] == "not all of its tumour is annotated"
    # As test_114 of CAMELYON16: not in FROC, but in the AUC.
    assert levels(evaluation)["lesion_level"]["slides"] == 1
    assert levels(evaluation)["slide_level"]["auc"]["value"] == 1
    assert levels(evaluation)["segmentation"]["slides"] == 0


def test_a_fully_annotated_one_has_false_positives(laboratory: Laboratory) -> None:
    evaluation = partly(laboratory, "full")
    assert levels(evaluation)["patch_level"]["confusion"]["fp"] == 1
    assert levels(evaluation)["lesion_level"]["slides"] == 2


def test_a_tumour_slide_without_annotation_is_judged_as_a_whole_only(
    laboratory: Laboratory,
) -> None:
    slide = laboratory.slide("t", [[0.9, 0.2]])
    normal = laboratory.slide("n", [[0.1, 0.2]])
    evaluation = run_results(laboratory, replace(slide, label="macro"), normal)
    assert row_of(evaluation, "t")["tiles"] is None
    assert row_of(evaluation, "t")["kind"] == "macro"
    assert row_of(evaluation, "t")["kind_from"] == "label"
    assert levels(evaluation)["patch_level"]["slides"] == 1
    assert levels(evaluation, "macro")["slide_level"]["auc"]["value"] == 1


def test_groups(laboratory: Laboratory) -> None:
    wide = [(0, 0, 900, 100)]
    slides = [
        laboratory.slide("a1", [[0.9] * 9], wide, centre="A", split="test"),
        laboratory.slide("a2", [[0.1] * 9], centre="A", split="test"),
        laboratory.slide("b1", [[0.3] * 9], wide, centre="B", split="test"),
        laboratory.slide("b2", [[0.4] * 9], centre="B", split="test"),
        laboratory.slide("t1", [[0.4] * 9], centre="A", split="train"),
    ]
    metrics = run_results(laboratory, *slides).metrics
    aucs = {name: group["slide_level"]["auc"]["value"] for name, group in metrics["groups"].items()}
    assert aucs == {
        "all": 0.75,
        "centre A": 1,
        "centre B": 0,
        "within the training centres": 1,
        "across to other centres": 0,
        "micro": 0.75,
    }
    assert metrics["aside"] == {"results": ["t1"]}
    assert metrics["cohort"]["trained_centres"] == ["A"]


def test_bad_slides_are_named_and_stop_nothing(laboratory: Laboratory) -> None:
    good = laboratory.slide("good", [[0.9, 0.1]], [(0, 0, 100, 100)])
    outside = laboratory.slide("outside", [[0.9]], [(0, 0, 5000, 100)])
    lying = laboratory.slide("lying", [[0.9]], [(0, 0, 90, 90)], label="normal")
    empty = laboratory.slide("empty", [[0.9]], label="tumour", annotated="full")
    broken = laboratory.slide("broken", [[0.9]])
    (laboratory.results / "broken.zarr" / "zarr.json").write_text("{}")
    silent = replace(laboratory.slide("silent", [[0.9]]), name="silence")
    (laboratory.results / "silent.zarr").rename(laboratory.folder / "elsewhere.zarr")
    evaluation = run_results(laboratory, good, outside, lying, empty, broken, silent)
    failed = evaluation.metrics["failed"]
    assert sorted(failed) == ["broken", "empty", "lying", "outside"]
    assert "outside.xml" in failed["outside"]
    assert "is labelled normal, but" in failed["lying"]
    assert "names no annotation" in failed["empty"]
    assert evaluation.metrics["missing"] == {"results": ["silence"]}
    assert [row["slide"] for row in evaluation.metrics["slides"]] == ["good"]
    assert not evaluation.complete


def test_a_slide_without_tissue_scores_nothing_and_is_kept(laboratory: Laboratory) -> None:
    blank = laboratory.slide("blank", [[math.nan, math.nan]])
    tumour = laboratory.slide("t", [[0.9, 0.1]], [(0, 0, 100, 100)])
    evaluation = run_results(laboratory, blank, tumour)
    assert row_of(evaluation, "blank")["score"] == 0
    assert levels(evaluation)["slide_level"]["auc"]["value"] == 1
    assert levels(evaluation)["lesion_level"]["slides"] == 2


def detections(folder: Path, files: dict[str, str]) -> Sources:
    place = folder / "csv"
    place.mkdir()
    for name, text in files.items():
        (place / f"{name}.csv").write_text(text)
    return Sources(detections=place)


def test_detections_made_elsewhere(tmp_path: Path) -> None:
    """Without result or slide: the truth's own bounds and the challenge's constant are enough."""
    truth = asap(tmp_path / "t.xml", [(3200, 3200, 6400, 640)])
    facts: dict[str, Any] = {"annotated": "full", "truth": truth, "truth_kind": "asap"}
    tumour = CohortSlide("t", "tumour", "t", **facts)
    cohort = Cohort((tumour, *rows({"n": "normal", "m": "normal"}).slides))
    files = {"t": "0.9,4000,3500\n0.4,90000,50\n", "n": "Probability,X,Y\n0.7,10,20\n", "m": ""}
    evaluation = run(cohort, detections(tmp_path, files))
    level = levels(evaluation)["lesion_level"]
    assert (level["slides"], level["lesions"], level["false_positives"]) == (3, 1, 2)
    # Lowest of .9, .7, .4 dropped: (0, 0), (0, 1), (1/3, 1).
    assert level["curve"]["false_positives"] == pytest.approx([0, 0, 1 / 3])
    assert level["froc"]["value"] == 1
    assert row_of(evaluation, "m")["score"] == 0
    assert row_of(evaluation, "n")["score"] == 0.7
    assert "challenge's 0.243" in row_of(evaluation, "t")["notes"]["resolution"]
    assert levels(evaluation)["slide_level"]["auc"]["value"] == 1


def test_detections_without_any_truth_still_rank_slides(tmp_path: Path) -> None:
    cohort = rows({"t": "tumour", "n": "normal"})
    evaluation = run(cohort, detections(tmp_path, {"t": "0.9,1,1\n", "n": ""}))
    assert levels(evaluation)["slide_level"]["auc"]["value"] == 1
    level = levels(evaluation)["lesion_level"]
    assert level["slides"] == 1  # the normal one
    assert level["froc"]["value"] is None
    assert level["curve"] is None


def test_detections_beside_the_slide_are_of_another_frame(laboratory: Laboratory) -> None:
    slide = laboratory.slide("t", [[0.9, 0.1]], [(0, 0, 100, 100)])
    sources = detections(laboratory.folder, {"t": "0.9,201,50\n"})
    both = Sources((laboratory.results,), None, sources.detections)
    evaluation = run(laboratory.cohort(slide), both)
    assert "lies outside the slide of 200 × 100 px" in evaluation.metrics["failed"]["t"]


def test_the_official_constant_can_be_asked_for(laboratory: Laboratory) -> None:
    """A bar of 500 px: 250 µm at the slide's 0.5, 122 µm at 0.243 µm per px.

    A slide of 0.5 µm per px is not of the challenge's kind: unasked, its own counts.
    """
    slide = laboratory.slide("t", [[0.9] * 10], [(300, 0, 500, 100)])
    rules = FrocRule(), FrocRule(mpp="slide"), FrocRule(mpp=0.243)
    found = [
        row_of(run_results(laboratory, slide, settings=replace(QUICK, froc=rule)), "t")
        for rule in rules
    ]
    assert [row["isolated_tumour_cells"] for row in found] == [0, 0, 1]
    # How long it is does not depend on the rule.
    assert [row["kind"] for row in found] == ["micro"] * 3


def node(laboratory: Laboratory, name: str, patient: str, cells: int, kind: str) -> CohortSlide:
    """A node whose mask is a bar of so many cells of 50 µm."""
    values = [0.9] * cells + [0.1] * (45 - cells)
    return replace(laboratory.slide(name, [values]), patient=patient, label=kind)  # type: ignore[arg-type]  # a label


def test_stages(laboratory: Laboratory) -> None:
    """1.155 times the bar: 3 cells are 173 µm, 10 are 577, 40 are 2309."""
    slides = [
        node(laboratory, "p_0", "p", 40, "macro"),
        node(laboratory, "p_1", "p", 0, "normal"),
        node(laboratory, "q_0", "q", 3, "itc"),
        node(laboratory, "q_1", "q", 10, "normal"),
        node(laboratory, "r_0", "r", 10, "tumour"),
    ]
    staging = run_results(laboratory, *slides, settings=replace(QUICK, stages=True)).metrics[
        "stages"
    ]
    assert [(r["patient"], r["stage"], r["predicted"]) for r in staging["patients"]] == [
        ("p", "pN1", "pN1"),
        ("q", "pN0(i+)", "pN1mi"),
    ]
    assert staging["left_out"] == ["r"]
    # Off by one of two; by chance 2²+1+0+1 over the four pairs (3,3), (3,2), (1,3), (1,2).
    assert staging["kappa"]["value"] == pytest.approx(1 - (1 / 2) / ((0 + 1 + 4 + 1) / 4))
    assert staging["slides"]["confusion"] == [
        [1, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 1],
    ]


def test_stages_need_kinds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no patient can be staged"):
        run(rows({"a": "macro"}), table(tmp_path, {"a": 1}), replace(QUICK, stages=True))


def test_stages_of_labels_made_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("slide,label\na.tif,micro\nb.tif,negative\n")
    cohort = rows({"a": "micro", "b": "normal"})
    evaluation = run(cohort, Sources(labels=path), replace(QUICK, stages=True))
    assert evaluation.metrics["stages"]["slides"]["kappa"]["value"] == 1


def test_calibration_over_bins(laboratory: Laboratory) -> None:
    values = [[0.95, 0.95, 0.95, 0.95]]
    slide = laboratory.slide("t", values, [(0, 0, 300, 100)])
    level = levels(run_results(laboratory, slide))["patch_level"]["calibration"]
    assert level["expected_calibration_error"]["value"] == pytest.approx(0.2, abs=1e-6)
    assert [one["tiles"] for one in level["bins"]] == [0] * 14 + [4]
    assert level["bins"][-1]["frequency"]["value"] == 0.75


def test_workers_change_nothing(laboratory: Laboratory) -> None:
    slides = [
        laboratory.slide(f"s{n}", [[0.1 * n, 0.3]], [(0, 0, 100, 100)] if n % 2 else ())
        for n in range(7)
    ]
    cohort = laboratory.cohort(*slides)
    pairing = pair(cohort, Sources((laboratory.results,)), None)
    one, many = (evaluate(cohort, pairing, QUICK, workers=count) for count in (1, 4))
    assert one.metrics == many.metrics
    assert len(one.slides) == 7
