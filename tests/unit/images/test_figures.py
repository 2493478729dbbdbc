"""Figures are scikit-learn's, and so are those of every redrawn collection."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from wsi_pipeline.images import figures as module
from wsi_pipeline.images.figures import Cases, confusion_of, figures_of
from wsi_pipeline.images.redrawn_auc import redrawn_aucs
from wsi_pipeline.metrics.bootstrap import draws, percentiles, weights
from wsi_pipeline.metrics.calibration import reliability


def make(count: int = 120, classes: int = 3, *, per_group: int = 2, seed: int = 0) -> Cases:
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=count)
    logits = rng.normal(size=(count, classes))
    logits[np.arange(count), truth] += 1
    # Rounded, so that scores are equal now and then.
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = probabilities.round(2)
    every = np.eye(classes, dtype=bool)
    called = every[probabilities.argmax(axis=1)]
    names = tuple("abcdefgh"[:classes])
    groups = np.arange(count) // per_group
    return Cases(
        names, 1, every[truth], called, probabilities, probabilities > 0.2, groups, groups * 0
    )


def test_they_are_what_scikit_learn_says() -> None:
    cases = make()
    found = figures_of(cases, "multiclass", 0.9)
    truth, called = cases.truth.argmax(axis=1), cases.called.argmax(axis=1)
    assert found["accuracy"]["value"] == sk.accuracy_score(truth, called)
    assert found["macro"]["f1"]["value"] == pytest.approx(
        sk.f1_score(truth, called, average="macro")
    )
    assert found["macro"]["recall"]["value"] == pytest.approx(
        sk.balanced_accuracy_score(truth, called)
    )
    for index, one in enumerate(found["classes"]):
        assert one["auc"]["value"] == pytest.approx(
            sk.roc_auc_score(truth == index, cases.probabilities[:, index])
        )
        assert one["images"] == (truth == index).sum()
    assert (found["images"], found["groups"]) == (120, 60)
    most = np.bincount(truth).max() / 120
    assert found["baseline"]["accuracy"] == pytest.approx(most)
    dummy = np.full(120, np.bincount(truth).argmax())
    assert found["baseline"]["macro_f1"] == pytest.approx(
        sk.f1_score(truth, dummy, average="macro")
    )
    assert found["baseline"]["macro_recall"] == pytest.approx(1 / 3)
    inside, single = cases.inside, cases.probabilities > 0.2
    assert inside is not None
    held = inside[np.arange(120), truth].mean()
    assert found["sets"]["coverage"]["value"] == pytest.approx(held)
    assert found["sets"]["review"]["value"] == pytest.approx((single.sum(axis=1) != 1).mean())


def test_intervals_draw_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way: draw groups, gather their images, ask scikit-learn."""
    monkeypatch.setattr(module, "_DRAWS", 200)
    cases = make(60)
    truth, called = cases.truth.argmax(axis=1), cases.called.argmax(axis=1)
    accuracies, f1, aucs = [], [], []
    for drawn in draws(np.zeros(30), resamples=200, seed=0):
        images = np.concatenate([np.flatnonzero(cases.groups == group) for group in drawn])
        accuracies.append((truth[images] == called[images]).mean())
        f1.append(sk.f1_score(truth[images] == 0, called[images] == 0))
        aucs.append(sk.roc_auc_score(truth[images] == 0, cases.probabilities[images, 0]))
    found = figures_of(cases, "multiclass", 0.9)
    for figure, values in (
        (found["accuracy"], accuracies),
        (found["classes"][0]["f1"], f1),
        (found["classes"][0]["auc"], aucs),
    ):
        expected = percentiles(np.array(values))
        assert expected is not None
        assert (figure["low"], figure["high"]) == pytest.approx((expected.low, expected.high))


def test_a_share_that_is_whole_still_has_a_doubt() -> None:
    cases = make(40, per_group=2)
    right = Cases(
        cases.names, 1, cases.truth, cases.truth, cases.probabilities, cases.truth, cases.groups,
        cases.strata,
    )  # fmt: skip
    found = figures_of(right, "multiclass", 0.9)
    # Exact of twenty groups, whatever the number of their images.
    expected = pytest.approx(binomtest(20, 20).proportion_ci(0.95, "exact").low)
    for one in (found["accuracy"], found["sets"]["coverage"]):
        assert (one["value"], one["low"], one["high"]) == (1, expected, 1)
    assert found["sets"]["review"]["high"] == pytest.approx(1 - found["accuracy"]["low"])
    for index, one in enumerate(found["classes"]):
        groups = len(np.unique(cases.groups[cases.truth[:, index]]))
        low = binomtest(groups, groups).proportion_ci(0.95, "exact").low
        assert one["recall"]["low"] == one["precision"]["low"] == pytest.approx(low)


def test_what_rests_on_one_group_has_no_interval() -> None:
    cases = make(40, per_group=2)
    truth = np.zeros_like(cases.truth)
    truth[:, 0] = cases.groups > 0
    truth[:, 1] = cases.groups == 0
    alone = Cases(
        cases.names, 1, truth, cases.called, cases.probabilities, None, cases.groups, cases.strata
    )
    first, second, _ = figures_of(alone, "multiclass", 0.9)["classes"]
    for figure in ("recall", "f1", "auc"):
        assert first[figure]["low"] is not None
        assert second[figure]["low"] is None


@pytest.mark.parametrize("seed", range(5))
def test_a_calibration_error_lies_in_its_own_interval(seed: int) -> None:
    """Of a model that is calibrated, what is found is chance, which redrawing adds once more."""
    rng = np.random.default_rng(seed)
    given = rng.uniform(0.02, 0.98, 150).round(3)
    truth = np.stack([rng.random(150) >= given, rng.random(150) < given], axis=1)
    truth[:, 0] = ~truth[:, 1]
    wide = np.stack([1 - given, given], axis=1)
    groups = np.arange(150)
    cases = Cases(("a", "b"), 1, truth, wide >= 0.5, wide, None, groups, groups * 0)
    found = figures_of(cases, "binary", 0.9)["calibration"]
    error = found["error"]
    assert error["low"] <= error["value"] <= error["high"]
    assert error["value"] < found["uncorrected"]
    plain = reliability(truth[:, 1], given).error
    assert found["uncorrected"] == pytest.approx(plain)


def test_groups_widen_an_interval() -> None:
    """Ten images of each of twelve patients say little more than twelve images."""
    alone, grouped = make(120, per_group=1), make(120, per_group=10)
    right = np.repeat(np.random.default_rng(1).random(12) < 0.6, 10)
    widths = []
    for cases in (alone, grouped):
        same = Cases(
            cases.names, 1, cases.truth, cases.truth ^ ~right[:, None], cases.probabilities, None,
            cases.groups, cases.strata,
        )  # fmt: skip
        figure = figures_of(same, "multiclass", 0.9)["accuracy"]
        widths.append(figure["high"] - figure["low"])
    assert widths[1] > 2 * widths[0]


def test_a_class_that_no_image_is_of_has_no_recall_and_no_auc() -> None:
    cases = make(40, 4).part(make(40, 4).truth[:, 3] == 0)
    found = figures_of(cases, "multiclass", 0.9)
    last = found["classes"][3]
    assert (last["images"], last["recall"]["value"], last["auc"]["value"]) == (0, None, None)
    recalls = [one["recall"]["value"] for one in found["classes"][:3]]
    assert found["macro"]["recall"]["value"] == pytest.approx(np.mean(recalls))
    assert found["baseline"]["macro_recall"] == pytest.approx(1 / 3)


def test_one_image_has_figures_and_no_interval() -> None:
    found = figures_of(make(1), "multiclass", 0.9)
    assert found["accuracy"]["value"] in (0.0, 1.0)
    assert found["accuracy"]["low"] is None


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 4), ("multilabel", 3)])
def test_a_calibration_error_is_of_what_the_model_says_it_calls(task: str, classes: int) -> None:
    cases = make(80, classes)
    found = figures_of(cases, task, 0.9)["calibration"]
    assert sum(one["images"] for one in found["bins"]) == 80 * (
        classes if task == "multilabel" else 1
    )
    assert found["error"]["low"] <= found["error"]["high"]
    sure = Cases(
        cases.names, 1, cases.truth, cases.truth, cases.truth.astype(float), None, cases.groups,
        cases.strata,
    )  # fmt: skip
    assert figures_of(sure, task, 0.9)["calibration"]["error"]["value"] == 0


def test_areas_of_redrawn_collections_with_ties() -> None:
    cases = make(50, 2)
    drawn = weights(np.zeros(25), resamples=20, seed=3)
    found = redrawn_aucs(cases.truth, cases.probabilities, drawn, cases.groups)
    for row, often in zip(found, drawn, strict=True):
        expected = sk.roc_auc_score(
            cases.truth[:, 1], cases.probabilities[:, 1], sample_weight=often[cases.groups]
        )
        assert row[1] == pytest.approx(expected)


def test_the_confusion_matrix_keeps_classes_that_are_missing() -> None:
    found = confusion_of(np.array([0, 0, 3]), np.array([0, 1, 1]), 5)
    assert found.shape == (5, 5)
    assert (found[0, 0], found[0, 1], found[3, 1], found.sum()) == (1, 1, 1, 3)
