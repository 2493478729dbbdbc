"""Stages of patients and quadratic-weighted kappa."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.cohort.table import Label
from wsi_pipeline.evaluation.stages import STAGES, quadratic_kappa, stage_of


@pytest.mark.parametrize(
    ("nodes", "stage"),
    [
        (["normal"] * 5, "pN0"),
        (["normal", "itc", "itc"], "pN0(i+)"),
        (["itc", "micro"], "pN1mi"),
        (["micro"] * 5, "pN1mi"),
        (["macro"], "pN1"),
        (["macro", "micro", "micro", "itc", "itc"], "pN1"),
        (["macro", "micro", "micro", "micro"], "pN2"),
        (["macro"] * 5, "pN2"),
        ([], "pN0"),
    ],
)
def test_stages_by_the_challenges_rules(nodes: list[Label], stage: str) -> None:
    assert stage_of(nodes) == stage


def test_kappa_by_hand() -> None:
    # Of 4 patients one is off by one of 2 stages: observed 1/4; by chance ½ would be off.
    table = np.array([[2.0, 0], [1, 1]])
    assert quadratic_kappa(table) == pytest.approx(1 - (1 / 4) / (2 * 1 / 16 + 2 * 3 / 16))
    # Far off weighs more: 2 stages count 4 times as much as 1.
    near, far = np.diag([2.0, 2, 2]), np.diag([2.0, 2, 2])
    near[0, 1] = far[0, 2] = 1
    assert quadratic_kappa(near) > quadratic_kappa(far)


def test_agreement_is_one_and_chance_is_none() -> None:
    assert quadratic_kappa(np.diag([3.0, 0, 2])) == 1
    assert quadratic_kappa(np.array([[4.0, 4], [4, 4]])) == 0
    assert np.isnan(quadratic_kappa(np.diag([7.0, 0])))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=20))
def test_kappa_is_its_definition(pairs: list[tuple[int, int]]) -> None:
    """1 - observed over expected squared distance, over all pairs of truths and answers."""
    table = np.zeros((len(STAGES), len(STAGES)))
    for truth, answer in pairs:
        table[truth, answer] += 1
    observed = np.mean([(truth - answer) ** 2 for truth, answer in pairs])
    expected = np.mean([(truth - answer) ** 2 for truth, _ in pairs for _, answer in pairs])
    kappa = quadratic_kappa(table)
    if expected == 0:
        assert np.isnan(kappa)
    else:
        assert kappa == pytest.approx(1 - observed / expected)
