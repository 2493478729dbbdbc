"""The right reader for each file, and a remedy where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from wsi_pipeline.errors import UnsupportedSlideError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import write_pyramid, write_vips_pyramid

IMAGE = np.random.default_rng(0).integers(0, 255, (320, 480, 3), np.uint8)


@pytest.mark.parametrize("kind", ["ome", "subifds"])
@pytest.mark.parametrize("compression", ["jpeg", "deflate"])
def test_a_hidden_pyramid_is_read_whole(tmp_path: Path, kind: str, compression: Any) -> None:
    path = tmp_path / "a.tiff"
    nested: dict[str, Any] = {kind: True}
    levels = write_pyramid(path, IMAGE, mpp=0.37, compression=compression, **nested)
    reader = open_slide(path)
    assert [level.downsample for level in reader.info.levels] == [1, 2, 4]
    assert reader.info.size == Size(480, 320)
    assert reader.info.mpp is not None
    assert reader.info.mpp.x == pytest.approx(0.37, rel=1e-6)
    assert reader.info.vendor == ("ome-tiff" if kind == "ome" else "tiff-subifd")
    assert reader.path_of(0) == "tiff"
    for index, pixels in enumerate(levels):
        height, width = pixels.shape[:2]
        assert np.array_equal(reader.read(Region(index, 0, 0, width, height)), pixels)


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1e-3), ("mm", 1e3), ("µm", 1.0)])
def test_ome_units_are_understood(tmp_path: Path, unit: str, factor: float) -> None:
    size = 0.25 / factor
    metadata = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeY": 2 * size}
    units = {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(
        tmp_path / "a.ome.tiff",
        IMAGE,
        ome=True,
        tile=(128, 128),
        photometric="rgb",
        metadata=metadata | units,
    )
    assert open_slide(tmp_path / "a.ome.tiff").info.mpp == Mpp(0.25, 0.5)


@pytest.mark.parametrize(
    ("objectives", "settings", "expected"),
    [
        ({"O:0": 20}, "", 20.0),
        ({"O:0": 20, "O:1": 40}, '<ObjectiveSettings ID="O:1"/>', 40.0),
        ({"O:0": 20, "O:1": 40}, "", None),  # which of them is not said
        ({"O:0": "many"}, "", None),
        ({}, "", None),
    ],
)
def test_the_objective_of_an_ome_tiff_is_read(
    tmp_path: Path, objectives: dict[str, object], settings: str, expected: float | None
) -> None:
    path = tmp_path / "a.ome.tiff"
    write_pyramid(path, IMAGE, mpp=None, ome=True)
    with tifffile.TiffFile(path) as tiff:
        text = str(tiff.ome_metadata)
    known = "".join(
        f'<Objective ID="{name}" NominalMagnification="{power}"/>'
        for name, power in objectives.items()
    )
    before, image = text.split("<Image ", 1)
    attributes, rest = image.split(">", 1)
    tifffile.tiffcomment(
        path,
        f'{before}<Instrument ID="I:0">{known}</Instrument><Image {attributes}>{settings}{rest}',
    )
    assert open_slide(path).info.objective == expected


def test_a_slide_without_a_resolution_says_so(tmp_path: Path) -> None:
    for ome in (False, True):
        write_pyramid(tmp_path / f"{ome}.tiff", IMAGE, mpp=None, ome=ome)
        assert open_slide(tmp_path / f"{ome}.tiff").info.mpp is None


@pytest.mark.parametrize(
    ("image", "axes"),
    [
        (np.zeros((4, 256, 256), np.uint8), "CYX"),
        (np.zeros((256, 256), np.uint16), "YX"),
        (np.zeros((3, 256, 256, 3), np.uint8), "ZYXS"),
    ],
)
def test_multichannel_images_are_refused_with_a_remedy(
    tmp_path: Path, image: Any, axes: str
) -> None:
    path = tmp_path / "a.ome.tiff"
    colour = "rgb" if axes.endswith("S") else "minisblack"
    tifffile.imwrite(
        path, image, ome=True, tile=(128, 128), photometric=colour, metadata={"axes": axes}
    )
    with pytest.raises(UnsupportedSlideError, match="vips tiffsave"):
        open_slide(path)


def test_strips_are_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    tifffile.imwrite(path, IMAGE, ome=True, photometric="rgb", metadata={"axes": "YXS"})
    with pytest.raises(UnsupportedSlideError, match=r"strips.*vips tiffsave"):
        open_slide(path)


def test_jpeg_tiles_are_decoded_directly_where_that_is_the_same(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "jpeg.tiff", IMAGE, compression="jpeg")
    write_pyramid(tmp_path / "deflate.tiff", IMAGE)
    write_vips_pyramid(tmp_path / "vips.tiff", IMAGE)
    for name, expected in (("jpeg", "tiles"), ("deflate", "openslide"), ("vips", "tiles")):
        path = tmp_path / f"{name}.tiff"
        assert open_slide(path).path_of(0) == expected
        assert open_slide(path, direct_tiles=False).path_of(0) == "openslide"


def test_a_text_file_is_no_slide(tmp_path: Path) -> None:
    for name, content in (("a.svs", b"hello"), ("b.svs", b""), ("c.tif", b"II*\0 and no more")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnsupportedSlideError):
            open_slide(tmp_path / name)


def test_an_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pyramid(tmp_path / "a.tiff", IMAGE)
    monkeypatch.setattr("wsi_pipeline.slide.opening.MAX_SIDE_PX", 400)
    with pytest.raises(Exception, match="more than any scanner makes"):
        open_slide(tmp_path / "a.tiff")
