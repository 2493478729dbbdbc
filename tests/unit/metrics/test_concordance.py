"""The c-index by its definition."""

import numpy as np
import pytest

from wsi_pipeline.metrics.concordance import concordance_index


def by_definition(times: np.ndarray, events: np.ndarray, risks: np.ndarray) -> float:
    right = total = 0.0
    for i in range(len(times)):
        for j in range(len(times)):
            first = times[i] < times[j] or (times[i] == times[j] and not events[j])
            if i != j and events[i] and first:
                total += 1
                right += (risks[i] > risks[j]) + 0.5 * (risks[i] == risks[j])
    return right / total


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_share_of_pairs_in_the_right_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times, events = rng.integers(1, 12, 30).astype(float), rng.random(30) < 0.6
    risks = np.round(rng.normal(0, 1, 30) - times / 8, 1)
    assert concordance_index(times, events, risks) == pytest.approx(
        by_definition(times, events, risks)
    )
    when = rng.permutation(30).astype(float)
    assert concordance_index(when, events, -when) == 1
    assert concordance_index(times, events, np.zeros(30)) == 0.5


def test_without_a_pair_there_is_no_figure() -> None:
    assert np.isnan(concordance_index([1, 2], [False, False], [1, 2]))
    with pytest.raises(ValueError, match="2 times"):
        concordance_index([1, 2], [True], [1, 2])
    with pytest.raises(ValueError, match="NaN"):
        concordance_index([1, np.nan], [True, True], [1, 2])
