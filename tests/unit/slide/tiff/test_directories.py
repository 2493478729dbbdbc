"""Directories that never end, and images that cannot be: refused before anybody follows them."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from tiff_support import Forgery, liars

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.slide.opening import open_slide
from wsi_pipeline.slide.probe import Prober
from wsi_pipeline.slide.tiff.directories import MAX_DIRECTORIES, check_directories
from wsi_pipeline.testing import write_pyramid


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two levels of 800 × 600 and 400 × 300 px."""
    path = tmp_path_factory.mktemp("slide") / "a.tiff"
    image = np.random.default_rng(1).integers(0, 255, (600, 800, 3), np.uint8)
    write_pyramid(path, image, downsamples=(1, 2))
    return path.read_bytes()


def test_liars_are_refused_in_one_line(slide: bytes, tmp_path: Path) -> None:
    for name, data in liars(slide).items():
        path = tmp_path / f"{name}.tiff"
        path.write_bytes(data)
        for read in (check_directories, open_slide):
            with pytest.raises(DamagedSlideError) as refused:
                read(path)
            assert "\n" not in str(refused.value), name
            assert refused.value.cause.startswith(
                (
                    "its TIFF directories lead in a circle",
                    f"it has more than {MAX_DIRECTORIES:,} TIFF directories",
                    "claims ",
                )
            ), name


def _longest_chain(slide: bytes) -> bytes:
    forgery = Forgery.of(slide)
    return bytes(
        forgery.let_follow(forgery.directories()[1], forgery.chain(MAX_DIRECTORIES - 2)).data
    )


def _most_below(slide: bytes) -> bytes:
    forgery = Forgery.of(slide)
    first, second = forgery.directories()
    return bytes(forgery.put_below(first, *[second] * MAX_DIRECTORIES).data)


@pytest.mark.parametrize("most", [_longest_chain, _most_below])
def test_what_is_allowed_takes_no_look_to_its_limit(
    slide: bytes, tmp_path: Path, most: Callable[[bytes], bytes]
) -> None:
    """The number of directories that is allowed is none that would still take minutes."""
    path = tmp_path / "a.tiff"
    path.write_bytes(most(slide))
    check_directories(path)
    with Prober() as prober:
        cause = ""
        try:
            prober(path)
        except DamagedSlideError as damaged:
            cause = damaged.cause
        assert "took more than" not in cause


@pytest.mark.parametrize("order", "<>")
def test_a_big_tiff_is_followed_too(tmp_path: Path, order: Literal["<", ">"]) -> None:
    path = tmp_path / "a.tiff"
    image = np.zeros((256, 256, 3), np.uint8)
    with tifffile.TiffWriter(path, bigtiff=True, byteorder=order) as tiff:
        for _ in range(3):
            tiff.write(image, tile=(256, 256), photometric="rgb", subifds=0)
    check_directories(path)
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from(f"{order}Q", data, 8)
    (count,) = struct.unpack_from(f"{order}Q", data, first)
    struct.pack_into(f"{order}Q", data, first + 8 + 20 * count, first)
    path.write_bytes(data)
    with pytest.raises(DamagedSlideError, match="circle"):
        check_directories(path)


def test_two_ways_to_one_directory_are_no_circle(slide: bytes, tmp_path: Path) -> None:
    """Some writers name a level both as the next directory and as one below."""
    forgery = Forgery.of(slide)
    first, second = forgery.directories()
    path = tmp_path / "a.tiff"
    path.write_bytes(forgery.put_below(first, second).data)
    check_directories(path)
    open_slide(path).close()


def test_whatever_changes_the_walk_ends(slide: bytes, tmp_path: Path) -> None:
    """With that one error or none."""
    chance = np.random.default_rng(4)
    places = Forgery.of(slide).directories()
    path = tmp_path / "a.tiff"
    refused = 0
    for _ in range(300):
        altered = bytearray(slide)
        for place in places:
            for at in chance.integers(0, 200, chance.integers(1, 5)):
                altered[place + at] = chance.integers(0, 256)
        path.write_bytes(altered[: int(chance.integers(4, 2 * len(altered)))])
        try:
            check_directories(path)
        except DamagedSlideError:
            refused += 1
    assert 0 < refused < 300
