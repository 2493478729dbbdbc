"""Every source of pixels keeps one contract."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.openslide_reader import OpenSlideReader
from wsi_pipeline.slide.tiff.reader import TiffReader
from wsi_pipeline.slide.tile_reader import TileReader
from wsi_pipeline.testing import ArraySlide, check_reader, write_pyramid, write_vips_pyramid
from wsi_pipeline.testing.slides import reduced


def smooth(width: int, height: int) -> NDArray[np.uint8]:
    """Colours that vary slowly, so that JPEG stays in gamut, with some sharp edges."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([120 + x / 6, 90 + y / 5, 200 - (x + y) / 12], axis=-1)
    image[height // 3 : height // 2, width // 4 : width // 2] = (200, 60, 90)
    return image.clip(0, 255).astype(np.uint8)


# OpenSlide interpolates where a level's px are no whole number of level-0 px: sizes divide by 4.
IMAGE = smooth(404, 300)


def test_openslide_reader(tmp_path: Path) -> None:
    levels = write_pyramid(tmp_path / "a.tiff", IMAGE)
    reader = OpenSlideReader(tmp_path / "a.tiff")
    check_reader(reader, levels)
    assert reader.segment_of(0) is None


@pytest.mark.parametrize("how", ["tifffile", "vips"])
def test_tile_reader(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.tiff"
    if how == "vips":
        write_vips_pyramid(path, IMAGE)
    else:
        write_pyramid(path, IMAGE, compression="jpeg")
    plain = OpenSlideReader(path)
    levels = [
        plain.read(Region(index, 0, 0, level.size.width, level.size.height))
        for index, level in enumerate(plain.info.levels)
    ]
    reader = TileReader(plain)
    assert {reader.path_of(index) for index in range(len(levels))} == {"tiles"}
    assert {reader.segment_of(index) for index in range(len(levels))} == {Size(128, 128)}
    check_reader(reader, levels)


class _Counted(OpenSlideReader):
    reads = 0

    def read(self, region: Region) -> NDArray[np.uint8]:
        self.reads += 1
        return super().read(region)


def test_levels_that_were_compared_before_are_not_compared_again(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    write_pyramid(path, IMAGE, compression="jpeg")
    plain = _Counted(path)
    reader = TileReader(plain)
    reader.trust([0, 2, 99])
    assert (reader.path_of(0), reader.path_of(2)) == ("tiles", "tiles")
    assert plain.reads == 0
    assert reader.path_of(1) == "tiles"
    assert plain.reads > 0


def test_where_a_tile_is_absent_nothing_was_scanned(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tiff"
    tile = bytes(imagecodecs.jpeg8_encode(smooth(128, 128), level=90))
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            iter([tile, b"", tile, tile]),
            shape=(256, 256, 3),
            dtype=np.uint8,
            tile=(128, 128),
            photometric="ycbcr",
            compression="jpeg",
        )
    plain = OpenSlideReader(path)
    reader = TileReader(plain)
    assert reader.path_of(0) == "tiles"
    pixels, scanned = reader.read_scanned(Region(0, 0, 0, 256, 256))
    assert not scanned[:128, 128:].any()
    assert scanned.sum() == 3 * 128 * 128
    assert np.array_equal(pixels, plain.read(Region(0, 0, 0, 256, 256)))


def test_a_level_without_tiles_is_not_trusted(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tiff", IMAGE)
    reader = TileReader(OpenSlideReader(tmp_path / "a.tiff"))
    reader.trust([0, 1, 2])
    assert {reader.path_of(index) for index in range(3)} == {"openslide"}


@pytest.mark.parametrize("ome", [True, False])
@pytest.mark.parametrize("compression", ["jpeg", "deflate"])
def test_tiff_reader(tmp_path: Path, ome: bool, compression: str) -> None:
    path = tmp_path / "a.tiff"
    levels = write_pyramid(
        path,
        smooth(411, 303),
        compression="jpeg" if compression == "jpeg" else "deflate",
        ome=ome,
        subifds=not ome,
        round_up=True,
    )
    check_reader(TiffReader(path), levels)


def test_array_slide() -> None:
    image = smooth(403, 301)
    seen = np.ones(image.shape[:2], np.bool_)
    seen[50:90, 300:] = False
    levels = [np.where(seen[..., None], image, 255).astype(np.uint8), reduced(image, 4)]
    scanned = [seen, np.ones(levels[1].shape[:2], np.bool_)]
    check_reader(ArraySlide([image, levels[1]], scanned=scanned), levels, scanned)


def test_the_suite_notices_a_reader_that_is_off_by_one() -> None:
    class Shifted(ArraySlide):
        def read(self, region: Region) -> NDArray[np.uint8]:
            moved = Region(region.level, region.x + 1, region.y, region.width, region.height)
            return super().read(moved)

    with pytest.raises(AssertionError, match="px differ"):
        check_reader(Shifted([IMAGE]), [IMAGE])


@pytest.mark.parametrize("up", [True, False])
def test_a_level_of_rounded_size_is_read_whole(tmp_path: Path, up: bool) -> None:
    """Where OpenSlide would interpolate, tiles still give the level's own px."""
    path = tmp_path / "a.tiff"
    levels = write_pyramid(path, smooth(1003, 701), compression="jpeg", round_up=up)
    reader = open_slide(path)
    assert [level.downsample for level in reader.info.levels] == [1, 2, 4]
    assert reader.path_of(2) == "tiles"
    height, width = levels[2].shape[:2]
    own = reader.read(Region(2, 0, 0, width, height))
    assert np.abs(own.astype(int) - levels[2]).max() <= 2  # another JPEG decoder, no shift


def test_a_whole_real_slide_reads_as_openslide_reads_it(data: Path) -> None:
    path = data / "slides" / "cmu-1-small-region.svs"
    plain = OpenSlideReader(path)
    tiles = TileReader(plain)
    assert tiles.path_of(0) == "tiles"
    size = plain.info.size
    for y in range(0, size.height, 512):
        region = Region(0, 0, y, size.width, min(512, size.height - y))
        assert np.array_equal(tiles.read(region), plain.read(region))


@pytest.mark.parametrize(
    "name", ["small.svs", "boxes.tiff", "boxes-dicom", "fluorescence-dapi.ndpi"]
)
def test_real_slides_keep_the_contract(data: Path, name: str) -> None:
    reader = open_slide(data / "slides" / name)
    exact = [
        index
        for index, level in enumerate(reader.info.levels)
        if index == 0 or level.size.area < 10**6
    ][:1]
    for index in exact:
        size = reader.info.levels[index].size
        whole = reader.read(Region(index, 0, 0, size.width, size.height))
        x, y = size.width // 3, size.height // 2
        part = reader.read(Region(index, x, y, size.width - x + 7, 5))
        assert np.array_equal(part[:, : size.width - x], whole[y : y + 5, x:])
        assert (part[:, size.width - x :] == 255).all()
