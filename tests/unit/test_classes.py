"""The rules by which probabilities become classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from wsi_pipeline.classes import (
    TUMOUR_OR_NORMAL,
    Classes,
    ModelClass,
    Task,
    deviation,
    logit,
    margin,
)

NAMES = ("glass", "stroma", "tumour")
PROBABILITIES = arrays.arrays(
    np.float32, (3, 4, 5), elements=st.floats(0, 1, width=32, allow_subnormal=False)
)


def of(task: Task) -> Classes:
    return Classes(task, tuple(ModelClass(name) for name in NAMES), "tumour")


def test_a_binary_model_has_the_plane_of_its_positive_class() -> None:
    classes = TUMOUR_OR_NORMAL
    assert [one.name for one in classes.planes] == ["tumour"]
    assert classes.shape == ()
    assert {label: one.name for label, one in classes.labels.items()} == {0: "normal", 1: "tumour"}
    turned = Classes("binary", classes.members[::-1], "tumour")
    assert turned.labels == classes.labels


def test_labels_of_the_other_tasks() -> None:
    assert [one.name for one in of("multiclass").labels.values()] == list(NAMES)
    assert [one.name for one in of("multilabel").labels.values()] == ["none", *NAMES]
    assert of("multiclass").label_of("stroma") == 1
    assert of("multilabel").label_of("stroma") == 2
    # What is none of the classes has no colour, and only that.
    colours = [one.colour for one in of("multilabel").labels.values()]
    assert [colour == "" for colour in colours] == [True, False, False, False]


def test_every_class_has_a_colour_of_its_own() -> None:
    given_one = Classes("multiclass", (ModelClass("a", "#010203"), ModelClass("b")), "b")
    assert given_one.planes[0].rgb == (1, 2, 3)
    colours = [one.colour for one in of("multiclass").planes]
    assert len(set(colours)) == 3


@given(PROBABILITIES, st.floats(0, 1, width=32))
def test_where_a_class_is(probability: np.ndarray, threshold: float) -> None:
    many, one = of("multilabel"), of("multiclass")
    for index, name in enumerate(NAMES):
        reached = probability[index] >= np.float32(threshold)
        assert np.array_equal(many.where(many.label_of(name), probability, threshold), reached)
        likely = one.decide(probability, threshold) == one.label_of(name)
        assert np.array_equal(one.where(one.label_of(name), probability, threshold), likely)
    nothing = (probability < np.float32(threshold)).all(axis=0)
    assert np.array_equal(many.where(0, probability, threshold), nothing)


@given(PROBABILITIES, st.floats(0, 1, width=32))
def test_decisions(probability: np.ndarray, threshold: float) -> None:
    likely = of("multiclass").decide(probability, threshold)
    best = np.take_along_axis(probability, likely[None].astype(int), 0)[0]
    assert np.array_equal(best, probability.max(axis=0))
    several = of("multilabel").decide(probability, threshold)
    assert np.array_equal(several > 0, probability.max(axis=0) >= np.float32(threshold))
    assert np.array_equal(several[several > 0], likely[several > 0] + 1)
    one = TUMOUR_OR_NORMAL.decide(probability[0], threshold)
    assert np.array_equal(one == 1, probability[0] >= np.float32(threshold))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@given(
    arrays.arrays(np.float64, (6, 3), elements=st.floats(-6, 6)),
    arrays.arrays(np.float64, (6, 3), elements=st.floats(-0.4, 0.4)),
)
def test_within_its_deviation_from_the_margin_no_decision_changes(
    task: Task, logits: np.ndarray, error: np.ndarray
) -> None:
    """What the cascade relies on: an answer with a wider margin keeps its label."""
    classes, threshold = of(task), 0.3

    def answers(values: np.ndarray) -> np.ndarray:
        if task == "multiclass":
            powers = np.exp(values)
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
        return np.asarray(1 / (1 + np.exp(-values)), np.float32)

    exact, rough = answers(logits), answers(logits + error)
    safe = margin(classes, rough, threshold) > deviation(classes, rough, exact) + 1e-3
    labels = [classes.decide(one.T.reshape(3, 1, 6), threshold)[0][safe] for one in (exact, rough)]
    assert np.array_equal(*labels)


def test_a_binary_margin_is_the_distance_of_the_logits() -> None:
    values = np.array([0.1, 0.5, 0.97], np.float32)
    expected = np.abs(logit(values) - logit(np.float32(0.5)))
    assert np.array_equal(margin(TUMOUR_OR_NORMAL, values, 0.5), expected)


def test_planes_go_by_their_names() -> None:
    probability = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    assert np.array_equal(of("multiclass").plane_of("stroma", probability), probability[1])
    assert np.array_equal(TUMOUR_OR_NORMAL.plane_of("tumour", probability[0]), probability[0])
    with pytest.raises(KeyError):
        TUMOUR_OR_NORMAL.plane_of("normal", probability[0])


@pytest.mark.parametrize(
    ("task", "names", "cause"),
    [
        ("binary", NAMES, "two classes"),
        ("multiclass", ("tumour",), "2 to 250 classes"),
        ("multilabel", ("tumour", "tumour"), "same name"),
        ("binary", ("a", "b"), "not among"),
    ],
)
def test_what_is_no_set_of_classes(task: Task, names: tuple[str, ...], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        Classes(task, tuple(ModelClass(name) for name in names), "tumour")
