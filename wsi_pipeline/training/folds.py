"""Cross-validation and search: which trainings there are to be."""

import itertools
from collections.abc import Sequence

import numpy as np

from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.training.check import Surveyed
from wsi_pipeline.training.recipe import Recipe, changed

#: Trainings of one search.
_MOST = 64


def fold_of(surveyed: Sequence[Surveyed], folds: int, seed: int) -> list[int]:
    """The fold each slide is validated in, from 0 on; a patient's slides are in one fold.

    Patients with and without tumour are dealt out apart, so that every fold has both.

    Raises:
        CohortError: there are fewer patients of a kind than folds.
    """
    patients = sorted({one.slide.patient_key for one in surveyed})
    with_tumour = {one.slide.patient_key for one in surveyed if one.slide.positive}
    rng = np.random.default_rng([seed, folds])
    fold: dict[str, int] = {}
    for kind in (True, False):
        members = [patient for patient in patients if (patient in with_tumour) == kind]
        if kind and len(members) < folds:
            raise CohortError(
                None,
                f"{len(members)} patients with tumour cannot fill {folds} folds; use fewer folds",
            )
        # Each kind is dealt on from where the last one ended, so that folds are of equal size.
        start = len(fold)
        for place, index in enumerate(rng.permutation(len(members))):
            fold[members[index]] = (start + place) % folds
    return [fold[one.slide.patient_key] for one in surveyed]


def search_grid(recipe: Recipe, terms: Sequence[str]) -> list[tuple[dict[str, str], Recipe]]:
    """Every combination of ``KEY=A,B,C`` terms, and the recipe each makes.

    ``learning_rate``, ``decay``, ``weight_decay`` and ``batch`` may be written without their
    section.

    Raises:
        UsageError: a term makes no sense for this recipe, or there are too many combinations.
    """
    axes: list[list[tuple[str, str]]] = []
    for term in terms:
        key, equals, values = term.partition("=")
        choices = [value.strip() for value in values.split(",") if value.strip()]
        if not equals or not choices:
            raise UsageError(f"--search {term!r}: write KEY=A,B, as learning_rate=1e-3,1e-4")
        full = f"optimiser.{key}" if key in ("learning_rate", "decay", "weight_decay") else key
        if recipe.method == "probe" and (full.startswith("optimiser.") or full == "epochs"):
            raise UsageError(
                f"--search {term!r}: a linear probe has no such setting; its penalties are "
                "searched always (--set probe.penalties=[1,10])"
            )
        axes.append([(full, choice) for choice in choices])
    count = int(np.prod([len(axis) for axis in axes]))
    if count > _MOST:
        raise UsageError(f"--search asks for {count} trainings, more than {_MOST}")
    combinations = [dict(combination) for combination in itertools.product(*axes)]
    return [
        (choice, changed(recipe, [f"{key}={value}" for key, value in choice.items()]))
        for choice in combinations
    ]
