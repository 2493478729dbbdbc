"""From results and labels to a package that answers for slides."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.errors import CohortError, ResultError, UsageError
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.slide_level.answer import slide_answer, with_answer
from wsi_pipeline.testing.models import make_stub_package
from wsi_pipeline.testing.slide_maps import planted_map, write_map_result
from wsi_pipeline.training.slide_level.fit import SlideOrder, fit_package
from wsi_pipeline.training.slide_level.page import slide_level_page
from wsi_pipeline.training.slide_level.table import LabelledSlide, LabelledSlides

SLIDES = 40


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return make_stub_package(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, package: ModelPackage
) -> list[tuple[LabelledSlide, Path]]:
    folder, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(1)
    made = []
    for number in range(SLIDES):
        positive = number % 2 == 0
        name = f"slide-{number}"
        result = write_map_result(folder, name, planted_map(rng, positive=positive), package)
        label = "tumour" if positive else "normal"
        made.append(
            (LabelledSlide(name, label, f"patient-{number // 4}-{label}", None), result.path)
        )
    return made


def labelled(results: list[tuple[LabelledSlide, Path]]) -> LabelledSlides:
    slides = tuple(slide for slide, _ in results)
    return LabelledSlides(slides, ("normal", "tumour"), "normal", "validation slides")


@pytest.mark.parametrize("kind", ["regions-logistic", "regions-forest"])
def test_the_fit_beats_the_largest_cell_and_is_what_the_package_answers(
    kind: str, package: ModelPackage, results: list[tuple[LabelledSlide, Path]], tmp_path: Path
) -> None:
    order = SlideOrder(tmp_path / "out", kind=kind)  # type: ignore[arg-type]  # a parameter
    report = fit_package(package, labelled(results), results, order)
    figures = report["figures"]
    assert figures["auc"]["value"] > 0.9 > figures["auc_max"]["value"] + 0.2
    assert figures["auc_difference"]["low"] > 0
    assert figures["auc_difference"]["delong_p"] < 0.01
    made = load_package(tmp_path / "out")
    assert made.sha256 == report["sha256"] != package.sha256
    about = made.description
    assert about.version == "1-slide-level"
    # All else is as it was.
    ours, theirs = (one.description.model_dump(mode="json") for one in (made, package))
    for facts in (ours, theirs):
        facts.pop("slide_level", None), facts.pop("version")
        facts["files"].pop("slide-level.npz", None)
    assert ours == theirs
    assert about.slide_level is not None
    assert about.slide_level.slides == {"normal": 20, "tumour": 20}
    assert about.slide_level.patients == 20
    # 20 patients cannot make 60 slides: nothing is ever clear.
    assert about.slide_level.rule.clear_below is None
    assert about.slide_level.rule.needed == 60
    rng = np.random.default_rng(9)
    found = {}
    for positive in (False, True):
        result = write_map_result(
            tmp_path / "new", f"new-{positive}", planted_map(rng, positive=positive), made
        )
        answer = slide_answer(made, result.record, result.probability)
        assert answer is not None
        assert answer.probability is not None
        assert answer.low is not None
        assert answer.high is not None
        assert 0 <= answer.low <= answer.probability <= answer.high <= 1
        assert answer.low < answer.high
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert answer.method == kind
        assert answer.state == "look-again"
        assert "at least 60" in answer.reason
        record = with_answer(result.record, answer)
        assert record.slide_score == answer.probability
        assert kind in record.slide_score_rule
        found[positive] = answer.probability
    assert found[False] < 0.4
    assert found[True] > 0.6
    page = slide_level_page(json.loads(json.dumps(report)))
    assert "<svg" in page
    assert "slide-3" in page


def test_the_same_results_give_the_same_package(
    package: ModelPackage, results: list[tuple[LabelledSlide, Path]], tmp_path: Path
) -> None:
    shas = {
        fit_package(package, labelled(results), results, SlideOrder(tmp_path / name))["sha256"]
        for name in "ab"
    }
    assert len(shas) == 1


def test_limits_may_rest_on_slides_held_out(
    package: ModelPackage, results: list[tuple[LabelledSlide, Path]], tmp_path: Path
) -> None:
    order = SlideOrder(tmp_path / "out", alpha=0.4, delta=0.4, hold_out=0.5)
    # A patient for each slide.
    own = [(dataclasses.replace(slide, patient=slide.name), path) for slide, path in results]
    report = fit_package(package, labelled(own), own, order)
    rule = report["section"]["rule"]
    assert rule["scores"] == "held-out"
    assert rule["slides"] == SLIDES // 2
    assert rule["clear_below"] is not None
    assert sum(report["section"]["slides"].values()) == SLIDES
    assert len(report["slides"]) == SLIDES // 2


def test_a_package_of_an_earlier_fit_can_be_fitted_again(
    package: ModelPackage, results: list[tuple[LabelledSlide, Path]], tmp_path: Path
) -> None:
    fit_package(package, labelled(results), results, SlideOrder(tmp_path / "out"))
    with pytest.raises(UsageError, match="--overwrite"):
        fit_package(package, labelled(results), results, SlideOrder(tmp_path / "out"))
    order = SlideOrder(tmp_path / "out", kind="regions-forest", overwrite=True, version="3")
    fit_package(package, labelled(results), results, order)
    about = load_package(tmp_path / "out").description
    assert about.version == "3"
    assert about.slide_level is not None
    assert about.slide_level.kind == "regions-forest"


def test_what_cannot_be_fitted_is_refused_with_the_reason(
    package: ModelPackage, results: list[tuple[LabelledSlide, Path]], tmp_path: Path
) -> None:
    some = [one for one in results if one[0].label == "normal"] + results[:8:2]
    with pytest.raises(CohortError, match="at least 8 patients of each class"):
        fit_package(package, labelled(results), some, SlideOrder(tmp_path / "out"))
    other = make_stub_package(tmp_path / "other", name="other")
    with pytest.raises(ResultError, match="not with this package"):
        fit_package(other, labelled(results), results, SlideOrder(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="--alpha"):
        SlideOrder(tmp_path, alpha=0)
    with pytest.raises(UsageError, match="--hold-out"):
        SlideOrder(tmp_path, hold_out=0.9)
