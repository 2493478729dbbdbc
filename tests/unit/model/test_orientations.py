"""Eight orientations: the mean and the spread are what they are called, in every company."""

from concurrent.futures import Future

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes, ModelClass
from wsi_pipeline.model.cascade import CascadePredictor, Stage
from wsi_pipeline.model.orientations import (
    ORIENTATIONS,
    OrientedPredictor,
    oriented,
    turned_back,
)
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.testing import FakePredictor, check_predictor

KINDS = Classes("multiclass", tuple(map(ModelClass, "abc")), "b")
SIDE = 8
PATCHES = np.random.default_rng(0).integers(0, 256, (11, SIDE, SIDE, 3), np.uint8)

Values = NDArray[np.float32]


def corner(patches: NDArray[np.uint8]) -> Values:
    """An answer that depends on what is at the top left."""
    return np.asarray((patches[:, 0, :2, 0] / 255).mean(axis=1), np.float32)


def three(patches: NDArray[np.uint8]) -> Values:
    shares = patches[:, 0, 0, :].astype(np.float32) + 1
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def each(patches: NDArray[np.uint8], function: object) -> Values:
    return np.stack([function(oriented(patches, k)) for k in range(ORIENTATIONS)])  # type: ignore[operator]  # a function


def test_mean_and_spread_of_one_probability() -> None:
    answers = each(PATCHES, corner)
    expected = np.stack([answers.mean(axis=0), answers.std(axis=0)], axis=1)
    assert expected[:, 1].min() > 0.01
    predictor = OrientedPredictor(
        FakePredictor(corner, batch_size=4, patch_px=SIDE), TUMOUR_OR_NORMAL
    )
    check_predictor(predictor, PATCHES, expected, 1e-6)
    predictor.close()


def test_of_several_classes_the_spread_is_the_likeliest_one_s() -> None:
    answers = each(PATCHES, three)
    mean = answers.mean(axis=0)
    likely = mean.argmax(axis=1)
    spread = answers[:, np.arange(len(PATCHES)), likely].std(axis=0)
    found = predict_all(OrientedPredictor(FakePredictor(three, patch_px=SIDE), KINDS), PATCHES)
    assert found == pytest.approx(np.column_stack([mean, spread]), abs=1e-6)
    assert found[:, :3].sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_features_are_those_of_the_patch_as_it_is() -> None:
    def both(patches: NDArray[np.uint8]) -> Values:
        return np.column_stack([corner(patches), patches[:, 0, :2, 1].astype(np.float32)])

    predictor = OrientedPredictor(FakePredictor(both, patch_px=SIDE, features=2), TUMOUR_OR_NORMAL)
    assert predictor.feature_count == 2
    found = predict_all(predictor, PATCHES)
    assert found.shape == (len(PATCHES), 4)
    assert np.array_equal(found[:, 1:3], PATCHES[:, 0, :2, 1])


def test_maps_are_turned_back_before_they_are_averaged() -> None:
    def red(patches: NDArray[np.uint8]) -> Values:
        """Equivariant: the map of a turned patch is the turned map."""
        cells = patches[..., 0].reshape(len(patches), 4, 2, 4, 2).mean(axis=(2, 4))
        return np.asarray(cells / 255, np.float32)

    predictor = OrientedPredictor(FakePredictor(red, patch_px=SIDE), TUMOUR_OR_NORMAL, maps=True)
    assert predict_all(predictor, PATCHES) == pytest.approx(red(PATCHES), abs=1e-6)
    for index in range(ORIENTATIONS):
        turned = oriented(PATCHES, index)[..., 0].astype(np.float32)
        assert np.array_equal(turned_back(turned, index), PATCHES[..., 0])


def test_a_cascade_decides_as_the_mean_of_its_last_stage() -> None:
    """Also where no orientation alone is near the threshold."""
    patches = np.random.default_rng(1).integers(0, 256, (400, SIDE, SIDE, 3), np.uint8)

    def sharp(batch: NDArray[np.uint8]) -> Values:
        return np.asarray(1 / (1 + np.exp(-12 * (corner(batch) - 0.5))), np.float32)

    def rough(batch: NDArray[np.uint8]) -> Values:
        value = sharp(batch).astype(np.float64)
        logits = np.log(value / (1 - value)) + 0.4 * np.sin(40 * value)
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)

    fast, slow = (
        OrientedPredictor(FakePredictor(one, batch_size=size, patch_px=SIDE), TUMOUR_OR_NORMAL)
        for one, size in ((rough, 8), (sharp, 2))
    )
    cascade = CascadePredictor([Stage(fast, 0.45), Stage(slow, 0.0)], TUMOUR_OR_NORMAL, 0.5)
    found, exact = predict_all(cascade, patches), predict_all(slow, patches)
    alone = predict_all(fast, patches)
    assert ((alone[:, 0] >= 0.5) != (exact[:, 0] >= 0.5)).any(), "nothing to be wrong about"
    assert np.array_equal(found[:, 0] >= 0.5, exact[:, 0] >= 0.5)
    again = cascade.asked_again[0]
    assert 0 < again < len(patches)
    # A tile that is asked again has the last stage's spread, too.
    assert (found == exact).all(axis=1).sum() >= again


def test_an_error_reaches_whoever_waits() -> None:
    def fail(_: NDArray[np.uint8]) -> Values:
        raise MemoryError

    predictor = OrientedPredictor(FakePredictor(fail, patch_px=SIDE), TUMOUR_OR_NORMAL)
    answer: Future[Values] = predictor.submit(PATCHES[:2])
    with pytest.raises(MemoryError):
        answer.result(timeout=10)
