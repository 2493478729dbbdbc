"""Images in folders: checked, split whole by group, copies kept together."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsi_pipeline.errors import CohortError, TrainingError, UsageError
from wsi_pipeline.training.images import FolderSource, Picture, find_images, split_images
from wsi_pipeline.training.run import Silence

Draw = Callable[[str, int], Path]


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
    found = find_images(folder, Silence())
    assert found.classes == ("healthy", "cancer")
    assert (found.side, len(found.pictures), found.duplicates) == (24, 20, 0)
    source = FolderSource(found.pictures, 24)
    assert (source.tumour.sum(), len(source.units)) == (10, 20)
    first = np.asarray(Image.open(found.pictures[0].path))
    assert np.array_equal(source.read(0, 3, 3), first)
    assert not source.steady.any()
    assert FolderSource(found.pictures, 32).read(0).shape == (32, 32, 3)


def test_the_positive_class_is_said_or_plain(folder: Path) -> None:
    assert find_images(folder, Silence(), positive="healthy").classes == ("cancer", "healthy")
    (folder / "healthy").rename(folder / "other")
    with pytest.raises(UsageError, match="--positive cancer or --positive other"):
        find_images(folder, Silence())
    with pytest.raises(UsageError, match="the classes are cancer and other"):
        find_images(folder, Silence(), positive="tumour")


def test_what_is_wrong_is_named(folder: Path, draw: Draw) -> None:
    draw("healthy/wide.png", 1, (24, 20))  # type: ignore[call-arg]  # a size is given here only
    with pytest.raises(TrainingError, match=r"wide\.png: is 24 × 20 px"):
        find_images(folder, Silence())
    (folder / "healthy" / "wide.png").write_bytes(b"no image")
    with pytest.raises(TrainingError, match=r"wide\.png: cannot be read"):
        find_images(folder, Silence())
    skipped = find_images(folder, Silence(), skip_bad=True)
    assert len(skipped.pictures) == 20
    assert "wide.png" in skipped.left_out[0]
    draw("healthy/wide.png", 1, (32, 32))  # type: ignore[call-arg]  # as above
    with pytest.raises(CohortError, match=r"different sizes: \[24, 32\]"):
        find_images(folder, Silence())


def test_an_empty_class_is_an_error(folder: Path) -> None:
    for path in (folder / "cancer").iterdir():
        path.unlink()
    with pytest.raises(CohortError, match="the class cancer is empty"):
        find_images(folder, Silence())
    shutil.rmtree(folder / "cancer")
    with pytest.raises(UsageError, match="holds 1 folders"):
        find_images(folder, Silence())


def test_copies_are_one_group_and_never_in_both_classes(folder: Path) -> None:
    shutil.copy(folder / "healthy" / "p0_0.png", folder / "healthy" / "p9_copy.png")
    found = find_images(folder, Silence(), group_from=r"p(\d+)_")
    assert found.duplicates == 1
    groups = {p.path.name: p.group for p in found.pictures if not p.tumour}
    # Patient 0 and patient 9 share an image: they are one.
    assert groups["p0_0.png"] == groups["p9_copy.png"] == groups["p0_1.png"]
    shutil.copy(folder / "healthy" / "p0_0.png", folder / "cancer" / "p9_copy.png")
    with pytest.raises(CohortError, match="the same image in both classes"):
        find_images(folder, Silence())


def test_a_group_must_be_found(folder: Path) -> None:
    with pytest.raises(UsageError, match="finds nothing in"):
        find_images(folder, Silence(), group_from=r"patient(\d+)")
    with pytest.raises(UsageError, match="--group-from"):
        find_images(folder, Silence(), group_from="(")


@given(
    groups=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=40),
    seed=st.integers(0, 5),
)
def test_a_group_is_in_one_part(groups: list[tuple[int, bool]], seed: int) -> None:
    pictures = [
        Picture(Path(f"{number}-{copy}"), tumour, f"g{number}", "", 8)
        for number, (size, tumour) in enumerate(groups)
        for copy in range(size)
    ]
    parts = split_images(pictures, seed)
    named = [{picture.group for picture in part} for part in parts]
    assert sum(len(part) for part in parts) == len(pictures)
    assert len(named[0] | named[1] | named[2]) == sum(len(groups) for groups in named)
    assert split_images(list(reversed(pictures)), seed) == parts


def test_shares_are_as_stated() -> None:
    pictures = [Picture(Path(f"{i:03d}"), i % 2 == 0, f"g{i}", "", 8) for i in range(200)]
    sizes = [[sum(p.tumour for p in part), len(part)] for part in split_images(pictures, 1)]
    assert sizes == [[60, 120], [20, 40], [20, 40]]
