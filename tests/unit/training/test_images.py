"""Images to train from: checked, grouped with what is alike, read as squares."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.errors import CohortError, TrainingError, UsageError
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.training.images import Examples, ImageSource, find_examples
from wsi_pipeline.training.run import Silence

Draw = Callable[..., Path]


def found(path: Path, **options: object) -> Examples:
    collection = read_collection(path, skip_bad=bool(options.get("skip_bad")))
    return find_examples(collection, Silence(), **options)  # type: ignore[arg-type]  # the tests' own


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    def drawn(name: str, seed: int = 0, size: tuple[int, int] = (24, 24)) -> Path:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
        Image.fromarray(values.astype(np.uint8)).save(path)
        return path

    return drawn


@pytest.fixture
def folder(draw: Draw, tmp_path: Path) -> Path:
    for number in range(10):
        draw(f"healthy/p{number // 2}_{number}.png", number)
        draw(f"cancer/p{5 + number // 2}_{number}.png", 100 + number)
    return tmp_path / "images"


def test_classes_and_px(folder: Path) -> None:
    examples = found(folder)
    assert (examples.classes, examples.positive) == (("healthy", "cancer"), "cancer")
    assert (examples.side, len(examples.images), examples.alike) == (24, 20, 0)
    source = ImageSource(examples.images, 2, 24, Intake(ImageFit()))
    assert (source.label.sum(), len(source.units), source.classes) == (10, 20, 2)
    first = np.asarray(Image.open(examples.images[0].path))
    assert np.array_equal(source.read(0, 3, 3), first)
    # Asked again, it comes from memory.
    assert source.read(0) is source.read(0)
    assert not source.steady.any()
    assert ImageSource(examples.images, 2, 32, Intake(ImageFit())).read(0).shape == (32, 32, 3)


def test_any_number_of_classes_and_any_size(folder: Path, draw: Draw) -> None:
    draw("adenoma/wide.png", 7, (40, 20))
    examples = found(folder)
    assert examples.classes == ("adenoma", "cancer", "healthy")
    # The first that is not called healthy or the like, unless somebody says otherwise.
    assert examples.positive == "adenoma"
    assert found(folder, positive="cancer").positive == "cancer"
    assert examples.side is None
    padded = ImageSource(examples.images, 3, 24, Intake(ImageFit())).read(0)
    assert (padded[0] == 255).all()
    assert (padded[12] < 255).any()


def test_the_positive_class_is_said_or_plain(folder: Path) -> None:
    assert found(folder, positive="healthy").classes == ("cancer", "healthy")
    (folder / "healthy").rename(folder / "other")
    with pytest.raises(UsageError, match="--positive cancer or --positive other"):
        found(folder)
    with pytest.raises(UsageError, match="the classes are cancer, other"):
        found(folder, positive="tumour")


def test_what_is_wrong_is_named(folder: Path) -> None:
    (folder / "healthy" / "bad.png").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"bad\.png: is no PNG, .*--skip-bad"):
        found(folder)
    # Several are named one by one.
    (folder / "cancer" / "worse.png").touch()
    said: list[str] = []

    class Heard(Silence):
        def says(self, line: str) -> None:
            said.append(line)

    with pytest.raises(TrainingError, match="and 1 more"):
        find_examples(read_collection(folder), Heard())
    assert [line.split(": ")[0] for line in said] == 2 * ["cannot be used"]
    (folder / "cancer" / "worse.png").unlink()
    skipped = found(folder, skip_bad=True)
    assert len(skipped.images) == 20
    assert "bad.png" in skipped.left_out[0]


def test_images_without_a_label_and_classes_alone(folder: Path, draw: Draw) -> None:
    draw("loose.png", 3)
    with pytest.raises(TrainingError, match=r"loose\.png: has no label"):
        found(folder)
    assert len(found(folder, skip_bad=True).images) == 20
    shutil.rmtree(folder / "cancer")
    with pytest.raises(UsageError, match=r"has one class only \(healthy\)"):
        found(folder)
    with pytest.raises(UsageError, match="has no labels"):
        found(folder / "loose.png")


def test_the_same_picture_is_one_group_and_has_one_label(folder: Path) -> None:
    first = folder / "healthy" / "p0_0.png"
    Image.open(first).rotate(90).save(folder / "healthy" / "p9_turned.png")
    examples = found(folder, group_from=r"p(\d+)_")
    assert examples.alike == 2
    groups = {one.path.name: one.group for one in examples.images if one.label == 0}
    # Patient 0 and patient 9 share a picture: they are one.
    assert groups["p0_0.png"] == groups["p9_turned.png"] == groups["p0_1.png"]
    # Turned, in the other class: somebody has to look. The very same px: one of them is wrong.
    Image.open(first).rotate(90).save(folder / "cancer" / "p9_turned.png")
    (folder / "healthy" / "p9_turned.png").unlink()
    assert "have different labels" in found(folder).doubtful[0]
    shutil.copy(first, folder / "cancer" / "p9_turned.png")
    with pytest.raises(CohortError, match="the same image under two labels"):
        found(folder)


def test_a_table_says_more_of_a_group_than_a_name(folder: Path) -> None:
    table = folder / "groups.csv"
    table.write_text("path,group\nhealthy/p0_0.png,1\nhealthy/p1_2.png,x\n")
    examples = find_examples(
        read_collection(folder, labels=table), Silence(), group_from=r"p(\d+)_"
    )
    group = {one.path.name: one.group for one in examples.images}
    assert group["p0_0.png"] == group["p1_3.png"] != group["p0_1.png"]
    assert group["p1_2.png"] not in {group["p0_0.png"], group["p1_3.png"]}
    assert examples.grouped
    # A pattern that finds no more than nothing is no group.
    with pytest.raises(UsageError, match="finds nothing in"):
        found(folder, group_from=r"q?(z)?")


def test_a_group_must_be_found(folder: Path) -> None:
    with pytest.raises(UsageError, match="finds nothing in"):
        found(folder, group_from=r"patient(\d+)")
    with pytest.raises(UsageError, match="--group-from"):
        found(folder, group_from="(")
