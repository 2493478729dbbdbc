"""A cascade asks again only where it is in doubt, and then believes the better model."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, logit
from wsi_pipeline.model.cascade import CascadePredictor, Stage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.testing import FakePredictor

Patches = NDArray[np.uint8]


def patches_of(values: NDArray[np.uint8]) -> Patches:
    """One-px patches whose red is the value."""
    patches = np.zeros((len(values), 1, 1, 3), np.uint8)
    patches[:, 0, 0, 0] = values
    return patches


def shifted(by: float) -> Callable[[Patches], NDArray[np.float32]]:
    """A model whose logits are off by so much."""

    def predict(patches: Patches) -> NDArray[np.float32]:
        logits = (patches[:, 0, 0, 0].astype(float) - 128) / 20 + by
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    return predict


def stage(by: float, band: float, batch_size: int = 4) -> Stage:
    return Stage(FakePredictor(shifted(by), batch_size=batch_size, patch_px=1), band)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_only_the_doubtful_are_asked_again(values: list[int], threshold: float) -> None:
    fast, exact = shifted(0.3), shifted(0.0)
    cascade = CascadePredictor([stage(0.3, 0.5), stage(0.0, 0.0, 1)], TUMOUR_OR_NORMAL, threshold)
    patches = patches_of(np.array(values, np.uint8))
    got = predict_all(cascade, patches)
    near = np.abs(logit(fast(patches)) - logit(np.float32(threshold))) <= 0.5
    assert np.array_equal(got[near], exact(patches)[near])
    assert np.array_equal(got[~near], fast(patches)[~near])
    assert cascade.asked_again == (int(near.sum()),)
    # The band is wider than the error: every decision is the better model's.
    assert np.array_equal(got >= threshold, exact(patches) >= threshold)
    cascade.close()


def test_doubt_passes_through_every_stage() -> None:
    stages = [stage(0.3, 0.6), stage(0.1, 0.2, 2), stage(0.0, 0.0, 1)]
    cascade = CascadePredictor(stages, TUMOUR_OR_NORMAL, 0.5)
    values = np.arange(90, 166, dtype=np.uint8)
    got = predict_all(cascade, patches_of(values))
    first, second = cascade.asked_again
    assert len(values) > first > second > 0
    exact = shifted(0.0)(patches_of(values))
    assert np.array_equal(got >= 0.5, exact >= 0.5)
    last = stages[2].predictor
    assert isinstance(last, FakePredictor)
    assert last.batches == [1] * second
    assert cascade.info.precision == "fp32>fp32>fp32"
    cascade.close()
    assert last.closed


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_failure_of_any_stage_reaches_the_caller(broken: int) -> None:
    def fail(patches: Patches) -> NDArray[np.float32]:
        raise RuntimeError(f"stage {broken} broke")

    stages = [stage(0.0, 9.0), stage(0.0, 9.0, 1), stage(0.0, 0.0, 1)]
    stages[broken] = Stage(FakePredictor(fail, batch_size=4, patch_px=1), 9.0)
    cascade = CascadePredictor(stages, TUMOUR_OR_NORMAL, 0.5)
    with pytest.raises(RuntimeError, match=f"stage {broken} broke"):
        cascade.submit(patches_of(np.array([127, 128, 129], np.uint8))).result(10)
    cascade.close()


def test_a_failure_on_one_patch_of_many_reaches_the_caller() -> None:
    def fail(patches: Patches) -> NDArray[np.float32]:
        if 130 in patches[:, 0, 0, 0]:
            raise RuntimeError("this patch")
        return shifted(0.0)(patches)

    cascade = CascadePredictor(
        [stage(0.0, 9.0), Stage(FakePredictor(fail, batch_size=1, patch_px=1), 0.0)],
        TUMOUR_OR_NORMAL,
        0.5,
    )
    with pytest.raises(RuntimeError, match="this patch"):
        cascade.submit(patches_of(np.array([127, 130, 129], np.uint8))).result(10)
    assert cascade.submit(patches_of(np.array([127], np.uint8))).result(10).shape == (1,)
    cascade.close()


def test_logits_stay_finite() -> None:
    ends = logit(np.array([0, 1, 0.5], np.float32))
    assert np.isfinite(ends).all()
    assert ends[2] == 0
    assert ends[0] == pytest.approx(-ends[1])
