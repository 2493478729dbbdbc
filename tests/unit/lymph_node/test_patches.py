import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.errors import CohortError
from wsi_pipeline.lymph_node.folds import FOLDS, folds_of
from wsi_pipeline.lymph_node.network import CELL_PX, PATCH_PX, SEEN_PX
from wsi_pipeline.lymph_node.patches import (
    RealPatches,
    placed,
    read_lymph_node,
    read_pcam,
    varied,
)


def noise(count: int = 6) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, SEEN_PX, SEEN_PX, 3), np.uint8)


@pytest.mark.parametrize("view", [0, 1, 2, 3])
def test_the_cell_of_a_placed_patch_is_its_middle(view: int) -> None:
    pixels = noise()
    out, cells = placed(pixels, view, np.zeros(len(pixels), np.int64))
    assert out.shape == (len(pixels), PATCH_PX, PATCH_PX, 3)
    middle = slice(CELL_PX, 2 * CELL_PX)
    for patch, wide, (row, column) in zip(pixels, out, cells, strict=True):
        top, left = CELL_PX * (row + 1), CELL_PX * (column + 1)
        found = wide[top : top + CELL_PX, left : left + CELL_PX]
        assert np.array_equal(found, patch[middle, middle])
        seen = wide[top - CELL_PX : top + 2 * CELL_PX, left - CELL_PX : left + 2 * CELL_PX]
        assert np.array_equal(seen, patch)
    again, _ = placed(pixels, view, np.zeros(len(pixels), np.int64))
    assert np.array_equal(out, again)


def test_neighbours_are_of_the_same_fold() -> None:
    """Else a head would have seen what it is tested on."""
    pixels = np.zeros_like(noise()) + np.arange(6, dtype=np.uint8)[:, None, None, None]
    out, _ = placed(pixels, 1, np.array([0, 0, 0, 1, 1, 1]))
    assert out[:3].max() <= 2
    assert out[3:].min() >= 3


def test_views_differ_and_the_first_is_the_patch_itself() -> None:
    pixels = noise()
    assert varied(pixels, 0) is pixels
    assert not np.array_equal(varied(pixels, 1), varied(pixels, 2))
    assert np.array_equal(varied(pixels, 1), varied(pixels, 1))


def test_a_group_is_whole_in_one_fold() -> None:
    names = tuple(f"g{index // 3}" for index in range(150))
    fold = folds_of(RealPatches("pcam", noise(150), np.zeros(150, bool), names))
    assert set(fold) == set(range(FOLDS))
    assert all(len(set(fold[i : i + 3])) == 1 for i in range(0, 150, 3))
    few = folds_of(RealPatches("slides", noise(3), np.zeros(3, bool), ("c", "a", "b")))
    assert list(few) == [2, 0, 1]


def test_folders_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    pixels = noise(4)
    rows = []
    for index, label in enumerate(["tumour", "normal", "tumour", "normal"]):
        (tmp_path / label).mkdir(exist_ok=True)
        name = f"{label}/{9 - index}.png"
        Image.fromarray(pixels[index]).save(tmp_path / name)
        rows.append({"file": name, "label": label, "overlap_group": "g" if index < 2 else ""})
    with (tmp_path / "patches.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "label", "overlap_group"])
        writer.writeheader()
        writer.writerows(rows)
    found = read_pcam(tmp_path)
    assert list(found.tumour) == [False, False, True, True]
    assert np.array_equal(found.pixels, pixels[[3, 1, 2, 0]])
    assert found.group == ("normal/6.png", "g", "tumour/7.png", "g")


def test_fine_patches_are_reduced_and_surrounded(tmp_path: Path) -> None:
    (tmp_path / "tumour").mkdir()
    colour = np.full((256, 256, 3), 90, np.uint8)
    Image.fromarray(colour).save(tmp_path / "tumour" / "tumor_064_10_20.png")
    found = read_lymph_node(tmp_path)
    assert found.group == ("064",)
    assert found.tumour.all()
    assert (found.pixels == 90).all()
    assert found.pixels.shape == (1, SEEN_PX, SEEN_PX, 3)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"patches\.csv"):
        read_pcam(tmp_path)
    with pytest.raises(CohortError, match="holds no patches"):
        read_lymph_node(tmp_path)
