"""Tiles of a TIFF directory: what is decoded, and what is refused before it can harm."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from wsi_pipeline.errors import DamagedSlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Region
from wsi_pipeline.slide.shared_file import SharedFile
from wsi_pipeline.slide.tiff.level import TiffLevel
from wsi_pipeline.slide.tile_cache import TileCache
from wsi_pipeline.testing import write_pyramid

IMAGE = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)


def open_level(path: Path) -> TiffLevel:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
    return TiffLevel(path, [page], SharedFile(path), TileCache(10**7))


def test_a_level_reads_only_the_tiles_it_needs(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tiff", IMAGE, downsamples=(1,))
    level = open_level(tmp_path / "a.tiff")
    assert not level.is_jpeg
    assert np.array_equal(level.read(Region(0, 10, 10, 20, 20)), IMAGE[10:30, 10:30])
    with tifffile.TiffFile(tmp_path / "a.tiff") as tiff:
        counts = tiff.pages.first.databytecounts
    assert level.bytes_read == counts[0]
    level.read(Region(0, 0, 0, 128, 128))
    assert level.bytes_read == counts[0]
    level.read(Region(0, 127, 0, 2, 2))
    assert level.bytes_read == counts[0] + counts[1]


def test_a_tile_that_claims_another_size_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    write_pyramid(path, IMAGE, compression="jpeg", downsamples=(1,))
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages.first.dataoffsets[0], tiff.pages.first.databytecounts[0]
    whole = bytearray(path.read_bytes())
    tile = bytes(whole[offset : offset + count])
    at = next(tile.index(bytes([0xFF, sof])) for sof in (0xC0, 0xC2) if bytes([0xFF, sof]) in tile)
    whole[offset + at + 5 : offset + at + 9] = b"\xff\xff\xff\xff"  # 65,535 px a side
    path.write_bytes(whole)
    level = open_level(path)
    with pytest.raises(DamagedSlideError, match="cannot decode tile 0: its JPEG frame"):
        level.read(Region(0, 0, 0, 10, 10))
    level.read(Region(0, 130, 130, 10, 10))


def test_a_broken_tile_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    write_pyramid(path, IMAGE, downsamples=(1,))
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[1]
    whole = bytearray(path.read_bytes())
    whole[offset : offset + 40] = bytes(40)
    path.write_bytes(whole)
    level = open_level(path)
    with pytest.raises(DamagedSlideError, match="cannot decode tile 1"):
        level.read(Region(0, 120, 0, 20, 20))
    assert np.array_equal(level.read(Region(0, 0, 0, 128, 128)), IMAGE[:128, :128])


def test_an_absent_tile_is_white(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tiff"
    tile = imagecodecs.zlib_encode(np.zeros((128, 128, 3), np.uint8).tobytes())
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            iter([bytes(tile), b""]),
            shape=(128, 256, 3),
            dtype=np.uint8,
            tile=(128, 128),
            photometric="rgb",
            compression="deflate",
        )
    level = open_level(path)
    assert not level.read(Region(0, 0, 0, 128, 128)).any()
    assert (level.read(Region(0, 128, 0, 128, 128)) == 255).all()


@pytest.mark.parametrize(
    ("image", "options", "reason"),
    [
        (IMAGE.astype(np.uint16), {"tile": (128, 128)}, "not 8-bit RGB"),
        (IMAGE[..., 0], {"tile": (128, 128)}, "8-bit grey, one channel"),
        (np.zeros((64, 64, 3), np.uint8), {"tile": (4112, 4112)}, "too large"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    tmp_path: Path, image: Any, options: dict[str, Any], reason: str
) -> None:
    colour = "rgb" if image.ndim == 3 else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tiff", image, photometric=colour, compression="deflate", **options
    )
    with pytest.raises(UnsupportedSlideError, match=reason):
        open_level(tmp_path / "a.tiff")
