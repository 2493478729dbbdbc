"""Levels a file lacks: exact means, one pass, bounded, and honest about damage."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide import computed_levels, open_slide
from wsi_pipeline.slide.computed_levels import ComputedLevels
from wsi_pipeline.testing.slides import cut

WHITE = 255


class ArrayLevel:
    """A stored level over an array; ``damaged`` rows cannot be read."""

    transparent = False

    def __init__(self, pixels: NDArray[np.uint8], damaged: range = range(0)) -> None:
        self._pixels = pixels
        self._damaged = damaged
        self.size = Size(pixels.shape[1], pixels.shape[0])
        self.segment = Size(pixels.shape[1], 16)
        self.px_read = 0
        self._lock = threading.Lock()

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        with self._lock:
            self.px_read += region.width * region.height
        if any(region.y <= row < region.bottom for row in self._damaged):
            raise DamagedSlideError("a.tif", "cannot decode strip")
        scanned = np.ones((region.height, region.width), np.bool_)
        return cut(self._pixels, region, WHITE), scanned


def means(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Exact means of squares, rounded half up, from sums along each axis."""
    rows = np.arange(0, pixels.shape[0], factor)
    columns = np.arange(0, pixels.shape[1], factor)
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.int64), rows, 0), columns, 1)
    one = np.ones(pixels.shape[:2], np.int64)[..., None]
    counts = np.add.reduceat(np.add.reduceat(one, rows, 0), columns, 1)
    rounded: NDArray[np.uint8] = ((2 * sums + counts) // (2 * counts)).astype(np.uint8)
    return rounded


@pytest.mark.parametrize("band", [600, 5_000, 2**23])
def test_every_level_is_the_mean_of_the_stored_one(
    monkeypatch: pytest.MonkeyPatch, band: int
) -> None:
    monkeypatch.setattr(computed_levels, "_BAND_PX", band)
    pixels = np.random.default_rng(0).integers(0, 256, (1031, 777, 3), np.uint8)
    stored = ArrayLevel(pixels)
    levels = ComputedLevels(stored)
    assert [level.downsample for level in levels.levels] == [2, 4, 8]
    for number, level in enumerate(levels.levels):
        expected = means(pixels, int(level.downsample))
        region = Region(0, -3, -2, level.size.width + 7, level.size.height + 5)
        got, scanned = levels.read_scanned(number, region)
        assert np.array_equal(got, cut(expected, region, WHITE))
        assert scanned.sum() == level.size.area
    assert stored.px_read == stored.size.area  # one pass for all levels


def test_many_threads_make_one_pass() -> None:
    stored = ArrayLevel(np.zeros((600, 600, 3), np.uint8))
    levels = ComputedLevels(stored)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: levels.read_scanned(0, Region(0, 0, 0, 9, 9)), range(8)))
    assert stored.px_read == 600 * 600


def test_only_levels_that_fit_in_memory_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computed_levels, "KEPT_PX", 100 * 100)
    levels = ComputedLevels(ArrayLevel(np.zeros((900, 900, 3), np.uint8))).levels
    assert levels == ()  # 450 and 225 px a side are too many, and no coarser ones are wanted
    monkeypatch.setattr(computed_levels, "KEPT_PX", 300 * 300)
    levels = ComputedLevels(ArrayLevel(np.zeros((900, 900, 3), np.uint8))).levels
    assert [level.size.width for level in levels] == [225]
    monkeypatch.setattr(computed_levels, "MOST_PX", 899 * 900)
    assert ComputedLevels(ArrayLevel(np.zeros((900, 900, 3), np.uint8))).levels == ()


def test_small_pictures_get_no_levels() -> None:
    assert ComputedLevels(ArrayLevel(np.zeros((200, 256, 3), np.uint8))).levels == ()


def test_what_cannot_be_decoded_is_a_grey_that_decides_nothing() -> None:
    pixels = np.full((512, 512, 3), 250, np.uint8)
    levels = ComputedLevels(ArrayLevel(pixels, damaged=range(100, 110)))
    got, _ = levels.read_scanned(0, Region(0, 0, 0, 256, 256))
    assert (got[50:55] == 203).all()
    assert (got[:50] == 250).all()
    assert (got[55:] == 250).all()


def test_a_slide_of_damage_only_is_an_error() -> None:
    levels = ComputedLevels(ArrayLevel(np.zeros((512, 512, 3), np.uint8), damaged=range(512)))
    with pytest.raises(DamagedSlideError, match="cannot decode strip"):
        levels.read_scanned(0, Region(0, 0, 0, 9, 9))


def test_a_damaged_strip_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    image = np.full((640, 480, 3), (200, 120, 160), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", compression="deflate", rowsperstrip=64)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        offset, count = page.dataoffsets[3], page.databytecounts[3]
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    reader = open_slide(path)
    with pytest.raises(DamagedSlideError, match="cannot decode strip 3"):
        reader.read(Region(0, 0, 200, 9, 9))
    coarse = reader.read(Region(1, 0, 0, 240, 320))
    assert (coarse[96:128] == 203).all()
    assert (coarse[:96] == (200, 120, 160)).all()
