"""A training makes its slides or images alike as inference will, and its package says how."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training_support import make_cohort

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cohort.table import read_cohort
from wsi_pipeline.errors import TrainingError, UsageError
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.model.package import load_package
from wsi_pipeline.run.preparation import fit_slide_stain, plan_tiles, prepare
from wsi_pipeline.slide import open_slide
from wsi_pipeline.stain.appearance import StainMatrix
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.testing import make_stub_package, write_pyramid
from wsi_pipeline.testing.stained import draw_stained
from wsi_pipeline.tiles.patches import read_at
from wsi_pipeline.training.assemble import job_of_images
from wsi_pipeline.training.check import check_slides
from wsi_pipeline.training.images import find_examples
from wsi_pipeline.training.patch_source import SlideSource
from wsi_pipeline.training.recipe import Recipe, load_recipe
from wsi_pipeline.training.request import Order
from wsi_pipeline.training.run import Silence, digest
from wsi_pipeline.training.session import Place, train
from wsi_pipeline.training.stain import choose_target

FIELDS: dict[str, Any] = {
    "name": "r",
    "architecture": {"name": "baseline", "pooling": "average"},
    "patch_px": 64,
    "mpp": 0.5,
    "labels": {"rule": "any", "central_px": 32},
    "sampling": {"stride": 32, "jitter": 2, "patches": 16, "validation_patches": 40},
    "epochs": 1,
    "batch": 8,
}


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({**FIELDS, **changes})


def test_a_recipe_without_it_is_the_recipe_it_was() -> None:
    plain = recipe()
    assert recipe(stain="none").fingerprint == plain.fingerprint
    assert recipe(stain="macenko").fingerprint != plain.fingerprint
    assert load_recipe("camelyon-baseline", ["stain=vahadane"]).stain.method == "vahadane"
    named = load_recipe("camelyon-baseline", ["stain.method=reinhard", "stain.target=a.png"])
    assert (named.stain.method, named.stain.target) == ("reinhard", "a.png")
    with pytest.raises(UsageError, match="stain"):
        load_recipe("camelyon-baseline", ["stain=purple"])


def stained_cohort(folder: Path) -> Path:
    table = make_cohort(folder, ("train", "validation"))
    for number, path in enumerate(sorted(folder.glob("*.tiff"))):
        strength = (0.6 + 0.2 * number, 1.1 - 0.1 * number)
        path.unlink()
        write_pyramid(path, draw_stained(512, 512, seed=number, strength=strength, glass=96))
    return table


def test_slides_are_fitted_and_read_as_inference_does_it(tmp_path: Path) -> None:
    wanted = recipe(stain="macenko")
    cohort = read_cohort(stained_cohort(tmp_path))
    surveyed = check_slides(cohort, wanted, threads=1, observer=Silence())
    target = choose_target(wanted, [one.tiles.stain for one in surveyed])
    assert target is not None
    stain = {"method": "macenko", "target": target.target}
    package = make_stub_package(tmp_path / "model", preprocessing={"stain": stain})
    source = SlideSource([one.tiles for one in surveyed], stain=target)
    plain = SlideSource([one.tiles for one in surveyed])
    assert source.stain == target
    assert digest(source) != digest(plain)
    for unit, one in enumerate(surveyed):
        reader = open_slide(one.tiles.path)
        prepared = prepare(one.tiles.path, package, AnalysisSettings())
        # The very numbers of a run with its usual settings.
        assert prepared.stain == target.of(one.tiles.stain)  # type: ignore[arg-type]  # it was asked for
        assert prepared.stain == fit_slide_stain(
            reader, plan_tiles(reader, prepared.plan.grid, AnalysisSettings()), package
        )
        index = int(np.flatnonzero(source.unit == unit)[0])
        grid, (column, row) = one.tiles.tiles[0].grid, one.tiles.tiles[0].cells[0]
        raw = read_at(reader, grid, *grid.corner(int(column), int(row)))
        assert np.array_equal(plain.read(index), raw)
        assert np.array_equal(source.read(index), prepared.stain.recolouring()(raw))
        assert not np.array_equal(source.read(index), raw)
        reader.close()


def test_a_target_may_be_a_picture_or_a_package(tmp_path: Path) -> None:
    picture = tmp_path / "target.png"
    Image.fromarray(draw_stained(128, 128)).save(picture)
    wanted = recipe(stain={"method": "macenko", "target": str(picture)})
    target = choose_target(wanted, [])
    assert target is not None
    assert isinstance(target.target, StainMatrix)
    stain = {"method": "macenko", "target": target.target}
    package = make_stub_package(tmp_path / "model", preprocessing={"stain": stain})
    again = recipe(stain={"method": "macenko", "target": str(package.folder)})
    assert choose_target(again, []) == target
    other = recipe(stain={"method": "reinhard", "target": str(package.folder)})
    with pytest.raises(UsageError, match="not for reinhard"):
        choose_target(other, [])
    Image.fromarray(np.full((64, 64, 3), 250, np.uint8)).save(picture)
    with pytest.raises(UsageError, match="cannot be a target"):
        choose_target(wanted, [])
    with pytest.raises(TrainingError, match="no training slide or image"):
        choose_target(recipe(stain="macenko"), [])


def draw_images(folder: Path) -> None:
    for number in range(90):
        tumour = number % 2
        path = folder / ("tumour" if tumour else "normal") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw_stained(64, 64, seed=number, strength=(0.5 + 0.01 * number, 1 + 0.2 * tumour))
        Image.fromarray(pixels).save(path)


def test_a_package_trained_on_normalised_images_says_so(tmp_path: Path, place: Place) -> None:
    draw_images(tmp_path / "images")
    fields = {**FIELDS, "made_for": "images", "stain": "macenko", "patch_px": 64}
    wanted = Recipe.model_validate(fields)
    order = Order(wanted, tmp_path / "model", "m", "1", "CC0", 0, 0, (), False, 1)
    examples = find_examples(read_collection(tmp_path / "images"), Silence())
    job = job_of_images(examples, order)
    assert job.facts["stain"]["looked_at"] == job.facts["parts"]["train"]["images"]
    assert job.train.stain == job.validation.stain
    report = train(job, place)
    package = load_package(tmp_path / "model")
    stated = package.description.preprocessing.stain
    assert stated == job.train.stain
    assert isinstance(stated, StainTarget)
    assert report["data"]["stain"]["method"] == "macenko"
    # The reference is of what a runtime is given: normalised patches.
    reference = package.reference()[0]
    kept = {job.validation.read(i).tobytes() for i in range(len(job.validation.label))}
    assert {patch.tobytes() for patch in reference} <= kept
