"""The mask TIFF: what OpenSlide sees of it is the stored mask."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import ResultError
from wsi_pipeline.export.mask_tiff import write_tiff
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]


def level_of(slide: openslide.OpenSlide, level: int) -> NDArray[np.uint8]:
    """The first channel of a whole level."""
    image = slide.read_region((0, 0), level, slide.level_dimensions[level])
    return np.asarray(image)[..., 0]


def test_openslide_sees_the_stored_mask(make_result: MakeResult, tmp_path: Path) -> None:
    tiles = np.random.default_rng(3).random((13, 21), np.float32)
    coverage = np.ones((13, 21), np.uint8)
    coverage[:5, :9] = 2
    result = make_result(
        tiles, coverage=coverage, size=Size(8250, 5000), downsamples=(1, 4, 16), level=1,
        mpp=Mpp(0.25, 0.25),
    )  # fmt: skip
    write_tiff(result, tmp_path / "mask.tiff")
    with openslide.OpenSlide(tmp_path / "mask.tiff") as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_dimensions == ((2062, 1250), (515, 312))
        assert slide.level_downsamples == pytest.approx((1, 4), rel=0.005)
        # The mask's level 0 is the analysis level.
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(1.0, rel=1e-5)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(1.0, rel=1e-5)
        for level in (0, 1):
            stored = result.mask(level)[...]
            np.testing.assert_array_equal(level_of(slide, level), np.where(stored == 1, 255, 0))


def test_class_values_and_px_that_are_not_square(make_result: MakeResult, tmp_path: Path) -> None:
    coverage = np.ones((7, 10), np.uint8)
    coverage[3:] = 0
    result = make_result(coverage=coverage, mpp=Mpp(0.5, 0.4))
    write_tiff(result, tmp_path / "mask.tiff", values="class")
    stored = result.mask(0)[...]
    assert set(np.unique(stored)) == {0, 1, 255}
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tiff", key=0), stored)
    with openslide.OpenSlide(tmp_path / "mask.tiff") as slide:
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.4, rel=1e-5)


def test_a_slide_without_pyramid_gets_one(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(size=Size(5000, 3001), downsamples=(1,), patch=200, stride=200)
    write_tiff(result, tmp_path / "mask.tiff")
    with tifffile.TiffFile(tmp_path / "mask.tiff") as tiff:
        pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
        assert [page.shape for page in pages] == [(3001, 5000), (1500, 2500), (750, 1250)]
        assert [page.subfiletype for page in pages] == [0, 1, 1]
        coarse = pages[2].asarray()
    fine = np.asarray(result.mask(0)[...])[2::4, 2::4]
    assert np.mean(coarse == np.where(fine[:750] == 1, 255, 0)) > 0.99


def test_another_threshold_is_drawn_anew(make_result: MakeResult, tmp_path: Path) -> None:
    tiles = np.random.default_rng(4).random((7, 10), np.float32)
    stored = make_result(tiles, threshold=0.8, name="stricter")
    asked = make_result(tiles, threshold=0.5, name="asked")
    write_tiff(stored, tmp_path / "a.tiff")
    write_tiff(asked, tmp_path / "b.tiff", threshold=0.8)
    assert (tmp_path / "a.tiff").read_bytes() == (tmp_path / "b.tiff").read_bytes()


def test_a_lost_part_of_the_mask_is_not_exported(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result()
    shutil.rmtree(result.path / "labels/tumour/0/c")
    with pytest.raises(ResultError, match="verify"):
        write_tiff(result, tmp_path / "mask.tiff")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slide-7.zarr"]
