"""The limit keeps its promise on the slides it was chosen on, and says how sure that is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.model.screen_section import ScreenedStain, ScreenSection
from wsi_pipeline.screen.limits import (
    LEAST_POSITIVES,
    ScoredSlide,
    choose_limit,
    group_stains,
    stain_of,
    upper_limit,
)

H_AND_E = np.array([0.49, 0.77, 0.40])


def scored(seed: int, positives: int, negatives: int, gap: float) -> ScoredSlide:
    """A slide whose positive tiles have higher scores, by ``gap`` standard deviations."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(gap, 1, positives), rng.normal(0, 1, negatives)])
    probabilities = np.concatenate([rng.uniform(0.5, 1, positives), rng.uniform(0, 0.4, negatives)])
    return ScoredSlide(
        f"slide {seed}", H_AND_E, scores.astype(np.float32), probabilities.astype(np.float32)
    )


def test_the_upper_limit_is_that_of_the_literature() -> None:
    # With none lost of n it is 1 - 0.05 ** (1 / n): the "rule of three" is 3 / n.
    assert upper_limit(0, 300, 0.95) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_limit(0, 2995, 0.95) <= 0.001 < upper_limit(0, 2994, 0.95)
    # Clopper and Pearson's interval for 10 of 100 ends at 17.6 % (two-sided, 95 %).
    assert upper_limit(10, 100, 0.975) == pytest.approx(0.1762, abs=1e-4)
    assert upper_limit(7, 7, 0.95) == 1


@given(
    st.integers(0, 1000),
    st.integers(LEAST_POSITIVES, 400),
    st.floats(-1, 6),
    st.sampled_from([0.0005, 0.001, 0.01, 0.05]),
)
def test_no_more_is_lost_than_was_promised(
    seed: int, positives: int, gap: float, promise: float
) -> None:
    slides = [scored(seed + i, positives // 2 + 1, 300, gap) for i in range(2)]
    found = choose_limit(slides, 0.5, promise, 0.95)
    assert isinstance(found, ScreenedStain)
    below = np.concatenate([one.scores < found.limit for one in slides])
    positive = np.concatenate([one.probabilities >= 0.5 for one in slides])
    assert (below & positive).sum() == found.lost <= promise * found.positives
    assert found.positives == positive.sum()
    assert found.screened == pytest.approx(below.mean())
    assert found.upper >= found.lost / found.positives
    assert found.bound < 0.5


def test_a_better_screen_has_a_higher_limit() -> None:
    poor, good = (
        choose_limit([scored(i, 60, 400, gap) for i in range(3)], 0.5, 0.001, 0.95)
        for gap in (2, 6)
    )
    assert isinstance(poor, ScreenedStain)
    assert isinstance(good, ScreenedStain)
    assert good.screened > 0.8 > poor.screened


@pytest.mark.parametrize(
    "slides", [[scored(1, 200, 10, 3)], [scored(1, 200, 10, 3), scored(2, 0, 10, 3)]]
)
def test_one_slide_with_tumour_is_too_few(slides: list[ScoredSlide]) -> None:
    found = choose_limit(slides, 0.5, 0.001, 0.95)
    assert isinstance(found, str)
    assert "too few" in found


def test_few_positive_tiles_are_too_few() -> None:
    found = choose_limit([scored(1, 10, 300, 3), scored(2, 10, 300, 3)], 0.5, 0.001, 0.95)
    assert found == (
        "20 positive tiles on 2 of 2 validation slides are too few; at least 50 on 2 slides are "
        "needed"
    )


def test_slides_of_two_stains_are_told_apart() -> None:
    rng = np.random.default_rng(3)
    other = np.array([0.38, 0.78, 0.50])
    colours = [base + rng.normal(0, 0.005, 3) for base in (H_AND_E, other) for _ in range(6)]
    groups = group_stains(colours)
    assert len(set(groups[:6])) == len(set(groups[6:])) == 1
    assert groups[0] != groups[6]
    assert group_stains([H_AND_E]).tolist() == [0]
    assert group_stains([]).tolist() == []


def test_a_slide_of_no_known_stain_has_none() -> None:
    found = choose_limit([scored(i, 60, 300, 3) for i in range(3)], 0.5, 0.001, 0.95)
    assert isinstance(found, ScreenedStain)
    section = ScreenSection(
        promise=0.001, confidence=0.95, threshold=0.5, fitted="by hand", stains=(found,)
    )
    assert stain_of(section, H_AND_E + np.array([0.01, 0, 0])) == found
    assert stain_of(section, H_AND_E + np.array([0.1, 0, 0])) is None


@pytest.mark.parametrize("positives", [30, 150, 700])
def test_few_positive_tiles_keep_the_promise_on_other_slides_too(positives: int) -> None:
    """Of scores with a normal tail, whatever the number of tiles the limit was chosen on."""
    lost = 0
    for seed in range(40):
        chosen = choose_limit(
            [scored(1000 * seed + i, positives, 50, 4) for i in range(2)], 0.5, 0.001, 0.95
        )
        assert isinstance(chosen, ScreenedStain)
        others = scored(10**6 + seed, 2000, 1, 4)
        lost += int((others.scores[others.probabilities >= 0.5] < chosen.limit).sum())
    assert lost <= 0.001 * 40 * 2000
