"""The same picture is found under other compression, size and turn; other pictures are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from wsi_pipeline.images import read_picture
from wsi_pipeline.images.likeness import alike, joined, likeness_of, orientations

BLOOD = Path(__file__).parents[4] / "shared" / "data" / "blood" / "wbc"


def cell(seed: int, side: int = 96) -> NDArray[np.uint8]:
    """A dark spot of its own shape on a pale ground: smooth, and like every other one."""
    rng = np.random.default_rng(seed)
    shape = gaussian_filter(rng.normal(size=(side, side)), side / 10)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    inside = np.hypot(rows, columns) + 8 * shape / np.abs(shape).max() / 100 * 2 < 0.3
    soft = gaussian_filter(inside.astype(float), 2)[..., None]
    texture = gaussian_filter(rng.normal(size=(side, side, 1)), (3, 3, 0)) * 60
    pixels = (1 - soft) * [225, 215, 220] + soft * (np.array([120, 70, 160]) + texture)
    return np.asarray(pixels.clip(0, 255), np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def test_every_way_to_change_a_file_is_seen_through() -> None:
    pixels = cell(0)
    turned = [jpeg(resized(one, 64), 80) for one in orientations(pixels)]
    likenesses = [likeness_of(one) for one in (pixels, jpeg(pixels, 40), *turned)]
    # A copy may be known by another copy; what counts is the group.
    groups = joined([str(n) for n in range(len(likenesses))], alike(likenesses))
    assert len(set(groups.tolist())) == 1


def test_smooth_pictures_of_one_kind_are_not_alike() -> None:
    assert len(alike([likeness_of(cell(seed)) for seed in range(60)])) == 0


def test_pictures_of_one_colour_are_alike_only_as_copies() -> None:
    plain = [np.full((40, 40, 3), value, np.uint8) for value in (200, 201, 200)]
    assert alike([likeness_of(one) for one in plain]).tolist() == [[0, 2]]
    assert len(alike([likeness_of(plain[0])])) == 0


def test_groups_are_joined_over_several_steps() -> None:
    groups = ["p1", "p1", "p2", "p3", "p4"]
    found = joined(groups, np.array([[1, 2], [2, 3]]))
    assert len(set(found[:4].tolist())) == 1
    assert found[4] != found[0]
    assert len(set(joined(groups, np.empty((0, 2), np.int64)).tolist())) == 4


@pytest.mark.skipif(not BLOOD.is_dir(), reason="the real blood cells are not there")
def test_real_cells() -> None:
    paths = sorted(BLOOD.glob("*.bmp"))[100:180]
    pixels = [read_picture(path).pixels for path in paths]
    likenesses = [likeness_of(one) for one in pixels]
    named = [(paths[a].stem, paths[b].stem) for a, b in alike(likenesses).tolist()]
    # Few, each of one cell photographed twice.
    assert ("166", "171") in named
    assert len(named) <= 4
    for number in range(0, len(pixels), 10):
        changed = likeness_of(jpeg(np.ascontiguousarray(np.rot90(pixels[number])), 50))
        assert [number, len(pixels)] in alike([*likenesses, changed]).tolist()
