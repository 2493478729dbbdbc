"""All of a training with slide labels: it learns, resumes bit for bit, and makes a package."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from features_support import feature_result
from numpy.typing import NDArray

from wsi_pipeline.errors import CohortError, StoppedError, TrainingError, UsageError
from wsi_pipeline.features.bag import TileMark
from wsi_pipeline.features.bag_files import open_bag
from wsi_pipeline.features.hdf5 import write_hdf5
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.slide_level_section import TrainedTiles
from wsi_pipeline.slide_level.attention.answer import ask
from wsi_pipeline.slide_level.attention.head_file import HEADS, load_heads
from wsi_pipeline.training.device import repeatable
from wsi_pipeline.training.run import Silence
from wsi_pipeline.training.slides.bags import open_bags
from wsi_pipeline.training.slides.cross_validation import SlideJob, cross_validate
from wsi_pipeline.training.slides.member import Member, MemberTraining
from wsi_pipeline.training.slides.recipe import SlideRecipe, load_slide_recipe
from wsi_pipeline.training.slides.scaling import fit_scaling
from wsi_pipeline.training.slides.session import SlideOrder, train_slides
from wsi_pipeline.training.slides.table import read_labels

SMALL = ["hidden=16", "attention=8", "heads=4", "learning_rate=0.01", "epochs=12", "folds=3"]


def recipe_of(kind: str, *changes: str) -> SlideRecipe:
    return load_slide_recipe(kind, [*SMALL, *changes])


def job_of(table: Path, recipe: SlideRecipe, folder: Path, stop_after: int = 10**9) -> SlideJob:
    found = read_labels(table, None, recipe.target)
    bags, _ = open_bags(found.slides, Silence())
    left = iter(range(stop_after))
    return SlideJob(
        recipe=recipe,
        found=found,
        bags=bags,
        seed=3,
        folder=folder,
        device=torch.device("cpu"),
        threads=1,
        observer=Silence(),
        stopped=lambda: next(left, None) is None,
    )


def order_of(out: Path, recipe: SlideRecipe, **changed: object) -> SlideOrder:
    fields: dict[str, object] = {
        "recipe": recipe,
        "out": out,
        "encoder": None,
        "name": "slides",
        "version": "1",
        "licence": "",
        "seed": 3,
        "threads": 1,
        "device": "cpu",
    }
    return SlideOrder(**{**fields, **changed})  # type: ignore[arg-type]  # of the right kinds


def weights_of(path: Path) -> list[dict[str, NDArray[np.float32]]]:
    return [dict(member) for member in load_heads(path)[0].members]


@pytest.mark.parametrize("kind", ["abmil", "clam-sb", "transmil", "mean-pool"])
def test_networks_tell_slides_apart_that_they_never_saw(
    make_cohort: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    recipe = recipe_of(kind, "epochs=30", "patience=30")
    with repeatable(1):
        found = cross_validate(job_of(make_cohort(30), recipe, tmp_path / "work"))
    odds = found.logits[0, :, 1] - found.logits[0, :, 0]
    labels = np.arange(30) % 2 == 1
    pairs = odds[labels][:, None] > odds[~labels][None]
    assert pairs.mean() > 0.85
    assert len(found.heads.members) == 3
    assert sorted(np.bincount(found.fold[0])) == [10, 10, 10]


def test_the_network_is_trained_anew_on_all_groups_for_as_many_epochs(
    make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    table = make_cohort()
    again = job_of(table, recipe_of("mean-pool"), tmp_path / "again")
    with repeatable(1):
        first = cross_validate(job_of(table, recipe_of("mean-pool", "refit=false"), tmp_path / "a"))
        second = cross_validate(again)
    assert first.histories == second.histories
    rest = [n for n, fold in zip(second.numbers.tolist(), second.fold[0], strict=True) if fold != 0]
    losses = [epoch["inner"] for epoch in second.histories[0]]
    member = Member(
        recipe=again.recipe,
        design=again.design,
        bags=again.bags,
        slides=again.found.slides,
        train=rest,
        inner=(),
        key=(3, 0, 0, 1),
        epochs=int(np.argmin(losses)) + 1,
        device=torch.device("cpu"),
    )
    with repeatable(1):
        weights, _ = MemberTraining(member, tmp_path / "alone.pt").train()
    kept = second.heads.members[0]
    assert all(np.array_equal(kept[name], weights[name]) for name in kept)
    assert not np.array_equal(kept["out.weight"], first.heads.members[0]["out.weight"])


@pytest.mark.parametrize("stop_after", [1, 20, 40])
def test_a_training_that_was_stopped_ends_as_if_it_were_not(
    make_cohort: Callable[..., Path], tmp_path: Path, stop_after: int
) -> None:
    table, recipe = make_cohort(), recipe_of("clam-sb", "tiles=16", "batch=5")
    with repeatable(1):
        straight = cross_validate(job_of(table, recipe, tmp_path / "straight"))
        with pytest.raises(StoppedError):
            cross_validate(job_of(table, recipe, tmp_path / "broken", stop_after))
        resumed = cross_validate(job_of(table, recipe, tmp_path / "broken"))
    assert np.array_equal(straight.logits, resumed.logits)
    assert straight.histories == resumed.histories
    for one, other in zip(straight.heads.members, resumed.heads.members, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_package_is_made_and_found_again(
    make_cohort: Callable[..., Path], tmp_path: Path, kinds_package: ModelPackage
) -> None:
    table, out = make_cohort(30, tested=6), tmp_path / "models" / "slides"
    order = order_of(out, recipe_of("abmil", "repeats=2"), encoder=kinds_package)
    found = read_labels(table, None, "classes")
    report = train_slides(found, order, Silence())
    package = load_package(out)
    section = package.description.slide_level
    assert section is not None
    assert (section.kind, section.classes, section.negative) == (
        "abmil",
        ("normal", "tumour"),
        "normal",
    )
    # The cohort's files are of another program and do not say.
    assert section.tiles == TrainedTiles()
    assert package.description.files.keys() == kinds_package.description.files.keys() | {HEADS}
    assert len(weights_of(out / HEADS)) == 6
    assert report["held_out"]["slides"] == {"normal": 12, "tumour": 12}
    assert report["test"]["slides"] == {"normal": 3, "tumour": 3}
    assert len(report["by_fold"]["folds"]["values"]) == 6
    assert len(report["by_fold"]["repeats"]["values"]) == 2
    written = out.with_name("slides.train.json")
    assert json.loads(written.read_text()) == report
    assert "never saw its group" in written.with_suffix(".html").read_text()
    assert not out.with_name("slides.training").exists()
    before = written.read_bytes()
    assert train_slides(found, order, Silence()) == report
    assert written.read_bytes() == before
    with pytest.raises(UsageError, match="--overwrite"):
        train_slides(found, order_of(out, recipe_of("mean-pool")), Silence())


def test_survival_is_ordered(make_cohort: Callable[..., Path], tmp_path: Path) -> None:
    table, out = make_cohort(40, survival=True), tmp_path / "out"
    recipe = recipe_of("abmil", "target=survival", "batch=12", "epochs=30")
    report = train_slides(read_labels(table, None, "survival"), order_of(out, recipe), Silence())
    assert report["held_out"]["c_index"]["value"] > 0.6
    heads, calibration = load_heads(out / HEADS)
    assert calibration is None
    assert not report["for_wsi_run"]
    # As docs/attention.md computes risks.
    risks = []
    for number in range(40):
        answer = ask(heads, open_bag(tmp_path / f"s{number}.h5").read().features)
        assert answer is not None
        risks.append(float(answer.logits.mean()))
    labels = np.arange(40) % 2 == 1
    # Of those with label 1 the time is shorter.
    assert np.mean(np.array(risks)[labels]) > np.mean(np.array(risks)[~labels])
    assert not (out / "model.yaml").exists()
    assert "c-index" in out.with_name("out.train.html").read_text()


def test_another_training_s_folder_is_not_taken_over(
    make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    table = make_cohort()
    with pytest.raises(StoppedError):
        cross_validate(job_of(table, recipe_of("abmil"), tmp_path, 2))
    with pytest.raises(UsageError, match="--restart"):
        cross_validate(job_of(table, recipe_of("mean-pool"), tmp_path))


def test_slides_whose_features_cannot_be_used_are_named(
    make_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    found = read_labels(make_cohort(), None, "classes")
    (tmp_path / "s3.h5").write_bytes(b"no HDF5")
    (tmp_path / "s4.h5").unlink()
    with pytest.raises(TrainingError, match=r"s3\.h5"):
        open_bags(found.slides, Silence())
    bags, good = open_bags(found.slides, Silence(), skip_bad=True)
    assert len(bags) == len(good) == 22
    assert not {3, 4} & set(good)


def test_features_of_two_encoders_are_refused(
    make_cohort: Callable[..., Path], tmp_path: Path, kinds_package: ModelPackage
) -> None:
    table = make_cohort(4)
    for number in (1, 2):
        feature_result(tmp_path / f"s{number}.zarr", size=8, encoder=f"encoder-{number}")
    feature_result(tmp_path / "s3.zarr", size=9)
    slides = read_labels(table, None, "classes").slides
    with pytest.raises(TrainingError, match=r"s2\.zarr: was made by encoder-2 .*s1\.zarr by enc"):
        open_bags(slides[1:3], Silence())
    with pytest.raises(TrainingError, match=r"s1\.zarr: was made by encoder-1 .*--encoder is "):
        open_bags(slides[1:2], Silence(), encoder=kinds_package)
    with pytest.raises(TrainingError, match=r"s3\.zarr: has 9 numbers of a tile, s0\.h5 has 8;"):
        open_bags([slides[0], slides[3]], Silence())
    # What other programs wrote does not say which package it was.
    bags, _ = open_bags(slides[:2], Silence())
    assert [bags[0].shape[1], bags[1].shape[1]] == [8, 8]


@pytest.mark.parametrize("components", [None, 3])
def test_what_features_become_is_put_into_the_first_layer(
    make_cohort: Callable[..., Path], components: int | None
) -> None:
    bags, _ = open_bags(read_labels(make_cohort(), None, "classes").slides, Silence())
    scaling = fit_scaling(bags, range(20), components)
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 1, (5, scaling.kept)).astype(np.float32)
    bias = rng.normal(0, 1, 5).astype(np.float32)
    whole, moved = scaling.folded(weight, bias)
    values = bags[2]
    expected = scaling.apply(values) @ weight.T + bias
    assert np.abs(values @ whole.T + moved - expected).max() < 1e-4
    shown = [scaling.apply(bags[index]) for index in range(20)]
    second = np.mean([one.T @ one / len(one) for one in shown], axis=0)
    assert np.diag(second) == pytest.approx(1, abs=1e-3)
    if components:
        assert np.allclose(second, np.eye(3), atol=1e-3)


def test_folds_need_groups_of_each_class(make_cohort: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="cannot fill 8 folds"):
        cross_validate(job_of(make_cohort(14), recipe_of("abmil", "folds=8"), tmp_path / "work"))


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ({"mpp": 0.3}, r"s2\.zarr: has tiles of 0\.3 µm/px, s1\.zarr of 0\.25 µm/px; .*--mpp"),
        ({"patch": 48}, r"s2\.zarr: has tiles of 48 px, s1\.zarr of 32 px"),
    ],
)
def test_tiles_that_were_cut_otherwise_are_refused(
    tmp_path: Path, cut: dict[str, float], told: str
) -> None:
    feature_result(tmp_path / "s1.zarr", size=8)
    feature_result(tmp_path / "s2.zarr", size=8, **cut)  # type: ignore[arg-type]  # of the right kinds
    table = tmp_path / "labels.csv"
    table.write_text("slide,label\ns1,normal\ns2,tumour\n")
    slides = read_labels(table, None, "classes").slides
    with pytest.raises(TrainingError, match=told):
        open_bags(slides, Silence())
    said: list[str] = []

    class Told(Silence):
        def says(self, text: str) -> None:
            said.append(text)

    bags, good = open_bags(slides, Told(), skip_bad=True)
    assert good == [0]
    assert bags.tiles == TileMark(32, 0.25)
    assert len(said) == 1


def test_spacings_of_levels_near_the_one_asked_for_go_together(tmp_path: Path) -> None:
    for number, mpp in enumerate((0.24, 0.25, 0.262), 1):
        feature_result(tmp_path / f"s{number}.zarr", size=8, mpp=mpp)
    table = tmp_path / "labels.csv"
    table.write_text("slide,label\ns1,normal\ns2,tumour\ns3,tumour\n")
    bags, _ = open_bags(read_labels(table, None, "classes").slides, Silence())
    assert bags.tiles == TileMark(32, 0.25)


def test_tiles_of_another_size_than_the_encoder_s_are_refused(
    tmp_path: Path, kinds_package: ModelPackage
) -> None:
    path = tmp_path / "s1.zarr"
    write_hdf5(feature_result(path, size=8), tmp_path / "s1.h5")
    shutil.rmtree(path)
    with h5py.File(tmp_path / "s1.h5", "a") as file:
        file["features"].attrs["encoder_sha256"] = kinds_package.sha256
    table = tmp_path / "labels.csv"
    table.write_text("slide,label,features\ns1,normal,s1.h5\ns2,tumour,s1.h5\n")
    slides = read_labels(table, None, "classes").slides
    with pytest.raises(TrainingError, match=r"has tiles of 32 px, and --encoder kinds takes 64 px"):
        open_bags(slides, Silence(), encoder=kinds_package)
