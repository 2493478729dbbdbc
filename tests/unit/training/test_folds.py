"""Folds keep patients whole; a search trains every combination it is asked for."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.cohort import CohortSlide
from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.training.check import Surveyed
from wsi_pipeline.training.folds import fold_of, search_grid
from wsi_pipeline.training.patch_source import SlideTiles
from wsi_pipeline.training.recipe import load_recipe


def surveyed(patient: int, number: int, *, tumour: bool) -> Surveyed:
    name = f"s{number}"
    slide = CohortSlide(name, "tumour" if tumour else "normal", f"p{patient}")
    return Surveyed(slide, SlideTiles(name, Path(name), ()), synthetic=False, warnings=())


slides = st.lists(st.tuples(st.integers(0, 15), st.booleans()), min_size=1, max_size=60)


@given(slides, st.integers(2, 5), st.integers(0, 3))
def test_no_patient_is_in_two_folds(found: list[tuple[int, bool]], folds: int, seed: int) -> None:
    several = [surveyed(p, n, tumour=t) for n, (p, t) in enumerate(found)]
    with_tumour = {p for p, t in found if t}
    if len(with_tumour) < folds:
        with pytest.raises(CohortError, match=f"cannot fill {folds} folds"):
            fold_of(several, folds, seed)
        return
    numbers = fold_of(several, folds, seed)
    by_patient: dict[str, set[int]] = {}
    for one, fold in zip(several, numbers, strict=True):
        by_patient.setdefault(one.slide.patient, set()).add(fold)
    assert all(len(seen) == 1 for seen in by_patient.values())
    # Every fold is validated with tumour, and sizes differ by one patient at most.
    assert {f for one, f in zip(several, numbers, strict=True) if one.slide.positive} == set(
        range(folds)
    )
    sizes = [sum(fold in seen for seen in by_patient.values()) for fold in range(folds)]
    assert max(sizes) - min(sizes) <= 1


def test_every_combination_is_trained() -> None:
    recipe = load_recipe("camelyon-baseline")
    found = search_grid(recipe, ["learning_rate=1e-3,1e-4", "batch=16,32", "weight_decay=0"])
    settings = [(r.optimiser.learning_rate, r.batch, r.optimiser.weight_decay) for _, r in found]
    assert settings == [(1e-3, 16, 0), (1e-3, 32, 0), (1e-4, 16, 0), (1e-4, 32, 0)]
    assert found[1][0] == {
        "optimiser.learning_rate": "1e-3",
        "batch": "32",
        "optimiser.weight_decay": "0",
    }


@pytest.mark.parametrize(
    ("recipe", "terms", "reason"),
    [
        ("camelyon-baseline", ["learning_rate"], "KEY=A,B"),
        ("camelyon-baseline", ["learning_rate=-1"], "greater than 0"),
        ("camelyon-baseline", ["batch=1,2,3,4,5,6,7,8,9", "epochs=1,2,3,4,5,6,7,8"], "more than"),
        ("linear-probe", ["learning_rate=1e-3"], "no such setting"),
    ],
)
def test_a_search_that_makes_no_sense(recipe: str, terms: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        search_grid(load_recipe(recipe), terms)
