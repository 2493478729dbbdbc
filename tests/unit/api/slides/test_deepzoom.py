"""The geometry of tiles is Deep Zoom's, as OpenSeadragon computes it, in the level-0 frame."""

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.slides.deepzoom import DeepZoom
from wsi_pipeline.geometry import Size

SIZES = st.builds(Size, st.integers(1, 300_000), st.integers(1, 300_000))


@given(SIZES)
def test_each_level_is_half_the_next_rounded_up(size: Size) -> None:
    zoom = DeepZoom(size)
    halved = size
    for level in range(zoom.finest, -1, -1):
        assert zoom.level_size(level) == halved
        halved = Size(-(-halved.width // 2), -(-halved.height // 2))
    assert zoom.level_size(0) == Size(1, 1)
    if zoom.finest:
        assert zoom.level_size(1) != Size(1, 1)


@given(SIZES, st.sampled_from([32, 254, 256, 512]))
def test_the_grid_is_openseadragons(size: Size, tile: int) -> None:
    """Its formulas, on doubles: maxLevel, and getNumTiles from the exact scaled dimensions."""
    zoom = DeepZoom(size, tile)
    assert zoom.finest == math.ceil(math.log(max(size.width, size.height)) / math.log(2))
    for level in range(zoom.finest + 1):
        scale = 1 / 2 ** (zoom.finest - level)
        columns = math.ceil(size.width * scale / tile)
        rows = math.ceil(size.height * scale / tile)
        assert zoom.grid(level) == Size(columns, rows)


@given(SIZES, st.data())
def test_tiles_cover_a_level_exactly(size: Size, data: st.DataObject) -> None:
    zoom = DeepZoom(size)
    level = data.draw(st.integers(0, zoom.finest))
    grid, shown, step = zoom.grid(level), zoom.level_size(level), zoom.downsample(level)
    row = data.draw(st.integers(0, grid.height - 1))
    right = 0.0
    for column in range(min(grid.width, 200)):
        area = zoom.area(level, column, row)
        assert area is not None
        assert (area.x, area.y) == (right, row * 512 * step)
        assert area.scale_x == area.scale_y == step
        right = area.x + area.size.width * step
    if grid.width <= 200:
        assert right == shown.width * step
        assert 0 <= right - size.width < step


@pytest.mark.parametrize(
    ("level", "column", "row"),
    [
        (-1, 0, 0),
        (11, 0, 0),
        (10**30, 0, 0),
        (10, -1, 0),
        (10, 0, -1),
        (10, 2, 0),
        (10, 0, 2),
        (10, 10**30, 0),
        (0, 1, 0),
    ],
)
def test_there_is_no_tile_outside(level: int, column: int, row: int) -> None:
    assert DeepZoom(Size(1000, 700)).area(level, column, row) is None


def test_the_last_tiles_are_smaller() -> None:
    area = DeepZoom(Size(1000, 700)).area(10, 1, 1)
    assert area is not None
    assert area.size == Size(1000 - 512, 700 - 512)
    single = DeepZoom(Size(1, 1))
    assert single.finest == 0
    assert single.area(0, 0, 0) is not None


def test_the_descriptor_is_deep_zooms() -> None:
    image = ET.fromstring(DeepZoom(Size(20000, 18001)).descriptor("jpeg").encode())
    space = "{http://schemas.microsoft.com/deepzoom/2008}"
    assert image.tag == f"{space}Image"
    assert image.attrib == {"Format": "jpeg", "Overlap": "0", "TileSize": "512"}
    size = image.find(f"{space}Size")
    assert size is not None
    assert size.attrib == {"Width": "20000", "Height": "18001"}
