"""Two models on the same slides: paired tests, slides of one alone, fitted answers."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.cohort.table import Cohort, CohortSlide
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.assessment import Assessment
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.comparison import compare, figures_of
from wsi_pipeline.evaluation.evaluation import evaluate
from wsi_pipeline.evaluation.report.comparison import comparison_page
from wsi_pipeline.evaluation.report.page import report_page
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.metrics.delong import compare_aucs
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.slide_level.conformal import upper_bound
from wsi_pipeline.testing.slide_maps import made_up_answer, write_map_result

SETTINGS = EvaluationSettings(resamples=200)


def plain(scores: dict[str, float], *, model: str = "") -> tuple[Assessment, ...]:
    """Assessments with a score only; slides whose names begin with t are positive."""
    return tuple(
        Assessment(
            slide=CohortSlide(name, "tumour" if name[0] == "t" else "normal", name + model),
            positive=name[0] == "t",
            kind=None,
            kind_from="",
            score=score,
            score_rule="as given",
            threshold=0.5,
            detections=None,
            hits=None,
            extents_um=(),
            tiles=None,
            overlap=None,
            predicted=None,
            origin=None,
            synthetic=False,
        )
        for name, score in scores.items()
    )


def test_each_figure_has_both_values_the_difference_and_a_p_value() -> None:
    rng = np.random.default_rng(2)
    names = [f"{'t' if number < 30 else 'n'}{number}" for number in range(70)]
    good = {name: float(rng.normal(0.5 + 0.3 * (name[0] == "t"), 0.2)) for name in names}
    bad = {name: float(rng.normal(0.5, 0.2)) for name in names}
    found = figures_of(plain(bad), plain(good), SETTINGS)
    rows = {(one["name"], one["test"].split()[0]): one for one in found}
    assert {name for name, _ in rows} == {"slide_auc", "sensitivity", "specificity", "accuracy"}
    truth = np.array([name[0] == "t" for name in names])
    expected = [roc_auc(truth, list(one.values())) for one in (bad, good)]
    boot = rows["slide_auc", "paired"]
    assert [boot["a"]["value"], boot["b"]["value"]] == pytest.approx(expected)
    assert boot["difference"]["value"] == pytest.approx(expected[1] - expected[0])
    assert boot["difference"]["low"] > 0
    assert boot["p"] <= 0.01
    delong = rows["slide_auc", "DeLong,"]
    test = compare_aucs(truth, list(bad.values()), list(good.values()))
    assert delong["p"] == pytest.approx(test.p)
    assert delong["difference"]["low"] == pytest.approx(test.low)
    # Both tests speak of the same spread.
    assert boot["difference"]["low"] == pytest.approx(test.low, abs=0.06)
    same = {one["name"]: one for one in figures_of(plain(good), plain(good), SETTINGS)}
    assert {one["p"] for one in same.values()} == {1.0}
    assert {one["difference"]["value"] for one in same.values()} == {0.0}


def test_the_bootstrap_draws_patients_for_both_alike() -> None:
    """Twice the slides of the same patients say nothing new."""
    rng = np.random.default_rng(3)
    names = [f"{'t' if number < 15 else 'n'}{number}" for number in range(30)]
    one, other = ({name: float(rng.random()) for name in names} for _ in range(2))
    single = figures_of(plain(one), plain(other), SETTINGS)[0]["difference"]
    twice = [plain(scores) + plain(scores) for scores in (one, other)]
    double = figures_of(twice[0], twice[1], SETTINGS)[0]["difference"]
    assert double["high"] - double["low"] == pytest.approx(single["high"] - single["low"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results of two models on ten slides; each lacks one of them, and B answers for slides."""
    folder = tmp_path_factory.mktemp("results")
    for number in range(10):
        probability = np.full((6, 6), 0.1, np.float32)
        probability[2, 2] = 0.6 + 0.03 * (3 * number % 10)
        for side in "ab":
            if (side, number) in {("a", 0), ("b", 9)}:
                continue
            answer = (
                made_up_answer("clear", 0.1) if number % 2 else made_up_answer("suspicious", 0.9)
            )
            write_map_result(
                folder / side, f"s{number}", probability, answer=answer if side == "b" else None
            )
    return folder / "a", folder / "b"


def cohort() -> Cohort:
    slides = [CohortSlide(f"s{n}", "normal" if n % 2 else "tumour", f"p{n}") for n in range(11)]
    return Cohort(tuple(slides))


def test_slides_that_one_lacks_are_named_and_not_compared(folders: tuple[Path, Path]) -> None:
    comparison = compare(cohort(), folders, None, SETTINGS)
    assert comparison["slides"] == [f"s{number}" for number in range(1, 9)]
    assert comparison["only"] == {"a": ["s9"], "b": ["s0"], "neither": ["s10"]}
    rows = {one["name"]: one for one in comparison["figures"]}
    assert rows["slide_auc"]["b"]["value"] == 1
    assert rows["specificity"]["a"]["value"] == 0
    assert rows["specificity"]["b"]["value"] == 1
    page = comparison_page(json.loads(json.dumps(comparison, allow_nan=False)))
    assert "Only in A, so not compared: s9" in page
    assert "DeLong" in page
    with pytest.raises(UsageError, match="no slide in common"):
        compare(cohort(), (folders[0] / "s9.zarr", folders[1] / "s0.zarr"), None, SETTINGS)


def test_an_evaluation_has_the_fitted_score_beside_the_largest_cell(
    folders: tuple[Path, Path],
) -> None:
    pairing = pair(cohort(), Sources((folders[1],)), None)
    evaluation = evaluate(cohort(), pairing, SETTINGS)
    level = evaluation.metrics["groups"]["all"]["slide_level"]
    fitted = level["fitted"]
    assert level["auc"]["value"] == 1
    assert fitted["methods"] == ["regions-logistic"]
    assert fitted["auc_max"]["value"] < 1
    assert fitted["auc_difference"]["value"] == pytest.approx(1 - fitted["auc_max"]["value"])
    assert fitted["calibration"]["brier"]["value"] == pytest.approx(0.01)
    states = fitted["states"]
    assert states["counts"]["clear"] == {"positive": 0, "negative": 4}
    assert states["counts"]["suspicious"] == {"positive": 5, "negative": 0}
    missed = states["missed_among_clear"]
    assert (missed["value"], missed["stated"]) == (0, 0.05)
    assert missed["bound"] == pytest.approx(upper_bound(0, 4, 0.1))
    # Slides are called positive where they are suspicious.
    assert level["decision"]["threshold"] == 0.6
    page = report_page(evaluation, dataclasses.replace(SETTINGS, pictures=0))
    assert "Look again" in page
    without = evaluate(cohort(), pair(cohort(), Sources((folders[0],)), None), SETTINGS)
    assert without.metrics["groups"]["all"]["slide_level"]["fitted"] is None
