"""Validation images decide; the other parts are measured with what they decided."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import f1_score

from wsi_pipeline.images.conformal import Conformal
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.training.conclusion import Conclusion
from wsi_pipeline.training.image_conclusion import conclude_images
from wsi_pipeline.training.images import Example, ImageSource
from wsi_pipeline.training.recipe import load_recipe

NAMES = ("a", "b", "c")


def source(
    labels: NDArray[np.int64], *, classes: int, places: tuple[str, ...] = ("here",)
) -> ImageSource:
    images = [
        Example(Path(f"{n}.png"), int(label), n // 2, places[n % len(places)], str(n), "", (8, 8))
        for n, label in enumerate(labels)
    ]
    return ImageSource(images, classes, 8, Intake(ImageFit()))


def logits(
    labels: NDArray[np.int64], classes: int, seed: int, certainty: float = 3.0
) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(0, 1, (len(labels), classes))
    return np.asarray(certainty * (np.eye(classes)[labels] + 0.6 * noise))


def concluded(classes: int, others: dict[str, ImageSource], seed: int = 1) -> Conclusion:
    labels = np.arange(90) % classes
    validation = source(labels, classes=classes)
    trained: Any = SimpleNamespace(labels=labels, logits=logits(labels, classes, seed))
    recipe = load_recipe("leukaemia-cnn")
    scored = {id(part): logits(part.label, classes, 7) for part in others.values()}
    return conclude_images(
        recipe,
        trained,
        NAMES[:classes],
        "b",
        validation,
        others,
        lambda part: scored[id(part)],
    )


def test_several_classes() -> None:
    # Two laboratories; the test images lack the third class.
    test = source(np.arange(60) % 2, classes=3, places=("here", "far"))
    found = concluded(3, {"test": test})
    report = found.report
    figures = report["test"]
    shares = softmax(logits(test.label, 3, 7) / found.temperature, axis=1)
    called = shares.argmax(axis=1)
    expected = f1_score(test.label, called, labels=[0, 1], average="macro")
    assert figures["macro"]["f1"]["value"] == pytest.approx(expected)
    assert figures["macro"]["f1"]["low"] < expected < figures["macro"]["f1"]["high"]
    assert figures["groups"] == 30
    assert figures["confusion"]["labels"] == list(NAMES)
    assert sum(figures["confusion"]["counts"][2]) == 0
    assert figures["classes"][2]["recall"]["value"] is None
    assert set(figures["sources"]) == {"here", "far"}
    assert figures["sources"]["far"]["confusion"]["labels"] == list(NAMES)
    assert figures["baseline"]["accuracy"] == 0.5
    assert report["threshold"]["value"] is None
    assert (report["positive"], report["external"]) == ("b", None)
    assert found.conformal is not None
    review = Conformal(found.conformal).sets(shares, 0.9).sum(axis=1) != 1
    assert figures["sets"]["review"]["value"] == pytest.approx(review.mean())
    assert found.metrics["test_macro_f1"] == pytest.approx(expected)


def test_two_classes_have_a_threshold_of_the_positive_one() -> None:
    found = concluded(2, {"test": source(np.arange(40) % 2, classes=2)})
    assert found.report["threshold"]["value"] == found.threshold
    assert 0.05 < found.threshold < 0.95
    # Near the threshold the margin is near nothing.
    assert found.margins.min() < 0.3
    assert len(found.margins) == len(found.order) == 90


def test_other_test_images_change_no_decision() -> None:
    one = concluded(3, {"test": source(np.arange(30) % 3, classes=3)})
    other = concluded(3, {"test": source(np.arange(33)[::-1] % 3, classes=3)})
    assert (one.temperature, one.threshold) == (other.temperature, other.threshold)
    assert np.array_equal(one.margins, other.margins)
    assert concluded(3, {}, seed=2).temperature != one.temperature
