"""What a package keeps of a fit: read back it scores alike, and damage is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.heads import Forest
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_npz
from wsi_pipeline.model.slide_level_section import SLIDE_LEVEL, SlideLevelSection, SlideRule
from wsi_pipeline.slide_level.region_fit import read_fit, write_fit
from wsi_pipeline.testing.models import make_stub_package
from wsi_pipeline.training.forest_arrays import forest_arrays
from wsi_pipeline.training.slide_level.fitting import Slides, fit_regions, logistic
from wsi_pipeline.training.slide_level.folds import grouped_folds


def slides(classes: int = 2, count: int = 60) -> Slides:
    rng = np.random.default_rng(classes)
    truth = np.arange(count) % classes
    features = rng.normal(0, 1, (count, 7))
    features[:, 0] += truth
    return Slides(features, truth, np.array([f"p{n}" for n in range(count)]), classes)


def package_with(tmp_path: Path, kind: str, classes: int) -> ModelPackage:
    """A package as :func:`read_fit` sees it, before it is pinned."""
    package = make_stub_package(tmp_path / "m")
    names = tuple(f"class-{number}" for number in range(classes))
    section = SlideLevelSection(
        kind=kind,
        classes=names,
        negative=names[0],
        fitted="here",
        slides=dict.fromkeys(names, 1),
        patients=1,
        calibration={"method": "m", "fitted": "f"},  # type: ignore[arg-type]  # pydantic reads it
        rule=SlideRule(slides=1, positives=0, needed=60),
    )
    files = {**package.description.files, SLIDE_LEVEL: "0"}
    about = package.description.model_copy(update={"slide_level": section, "files": files})
    return dataclasses.replace(package, description=about)


@pytest.mark.parametrize("kind", ["regions-logistic", "regions-forest"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_fit_is_read_as_it_was_written(kind: str, classes: int, tmp_path: Path) -> None:
    given = slides(classes)
    fitted = fit_regions(kind, given, draws=20, seed=3)
    package = package_with(tmp_path, kind, classes)
    write_fit(package.folder, fitted.fit)
    again = read_fit(package)
    for one in given.features[:5]:
        ours, theirs = again.probabilities(one), fitted.fit.probabilities(one)
        assert ours == pytest.approx(theirs, abs=1e-12)
        assert ours.sum() == pytest.approx(1)
        drawn = again.drawn_probabilities(one)
        assert drawn == pytest.approx(fitted.fit.drawn_probabilities(one), abs=1e-12)
        assert drawn.shape[1] == classes
    right = (fitted.probabilities.argmax(axis=1) == given.truth).mean()
    assert right > 1.2 / classes


def test_a_forest_in_numbers_is_scikit_learns_and_torchs() -> None:
    given = slides(3)
    found = RandomForestClassifier(20, max_depth=5, random_state=1)
    found.fit(given.features, given.truth)
    forest = forest_arrays([one.tree_ for one in found.estimators_], 3)
    shares = forest.shares(given.features)
    assert shares.shape == (60, 20, 3)
    assert shares.mean(axis=1) == pytest.approx(found.predict_proba(given.features), abs=1e-12)
    module = Forest(3, forest.trees, forest.nodes, forest.depth)
    names = ("feature", "threshold", "left", "right", "share")
    numbers = {name: torch.from_numpy(getattr(forest, name)) for name in names}
    module.load_state_dict(
        {name: one.to(getattr(module, name).dtype) for name, one in numbers.items()}, strict=False
    )
    answers = module(torch.from_numpy(given.features).float()).exp().numpy()
    assert answers == pytest.approx(np.maximum(shares.mean(axis=1), 1e-3), abs=1e-5)


@pytest.mark.parametrize("strength", [0.01, 1.0])
def test_the_logistic_fit_is_scikit_learns(strength: float) -> None:
    given = slides()
    weights = np.random.default_rng(1).integers(0, 3, 60).astype(float)
    found = LogisticRegression(C=strength, max_iter=10_000, tol=1e-10)
    found.fit(given.features, given.truth, sample_weight=weights)
    ours = logistic(given.features, given.truth == 1, weights, strength)
    assert ours[1:] == pytest.approx(found.coef_[0], abs=1e-4)
    assert ours[0] == pytest.approx(found.intercept_[0], abs=1e-4)


def test_patients_stay_in_one_fold_and_every_fold_has_every_class() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat([f"p{n}" for n in range(40)], 3)
    truth = np.repeat(rng.random(40) < 0.3, 3).astype(int)
    fold = grouped_folds(groups, truth, 5, seed=1)
    for patient in np.unique(groups):
        assert len(set(fold[groups == patient])) == 1
    for number in range(5):
        assert set(truth[fold == number]) == {0, 1}
    assert np.bincount(fold).tolist() == [24] * 5


def test_numbers_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    package = package_with(tmp_path, "regions-logistic", 2)
    with pytest.raises(PackageError, match="cannot be used"):
        read_fit(package)
    fitted = fit_regions("regions-logistic", slides(), draws=5, seed=1)
    write_fit(package.folder, fitted.fit)
    with np.load(package.folder / SLIDE_LEVEL) as data:
        whole = dict(data)
    for name, wrong in (
        ("weight", whole["weight"][:, :, 1:]),
        ("mean", whole["mean"] * np.nan),
        ("offsets", whole["offsets"][:1]),
    ):
        write_npz(package.folder / SLIDE_LEVEL, **{**whole, name: wrong})
        with pytest.raises(PackageError, match="cannot be used"):
            read_fit(package)
    forest = package_with(tmp_path / "f", "regions-forest", 2)
    write_fit(forest.folder, fit_regions("regions-forest", slides(), draws=5, seed=1).fit)
    with np.load(forest.folder / SLIDE_LEVEL) as data:
        whole = dict(data)
    write_npz(forest.folder / SLIDE_LEVEL, **{**whole, "left": whole["left"] + 10**6})
    with pytest.raises(PackageError, match="trees do not fit together"):
        read_fit(forest)
