"""The heatmap: every cell where it belongs, px for px."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import ResultError, UsageError
from wsi_pipeline.export.backdrop import read_backdrop
from wsi_pipeline.export.decision import decide
from wsi_pipeline.export.heatmap import draw_heatmap, round_length, write_heatmap
from wsi_pipeline.export.painting import colours, rasterise
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]

Look = Callable[[float, float], NDArray[np.int64]]


def looker(result: Result, side: int = 800, slide: Path | None = None) -> Look:
    """What colour the PNG has at a place in level-0 px."""
    figure, axes = draw_heatmap(result, side=side, slide=slide)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    image = np.asarray(Image.open(buffer).convert("RGB")).astype(np.int64)
    assert image.shape[:2] == tuple(figure.canvas.get_width_height()[::-1])

    def look(x: float, y: float) -> NDArray[np.int64]:
        across, up = axes.transData.transform((x, y))
        colour: NDArray[np.int64] = image[int(image.shape[0] - up), int(across)]
        return colour

    return look


def shown(probability: float) -> NDArray[np.int64]:
    colour: NDArray[np.int64] = np.rint(colours("viridis", np.array(probability))).astype(np.int64)
    return colour


@pytest.mark.parametrize(
    ("size", "mpp", "scale"),
    [
        (Size(1000, 700), Mpp(0.5, 0.5), 1.0),
        (Size(997, 683), Mpp(0.25, 0.25), 1.0),
        (Size(1000, 700), Mpp(0.5, 0.3), 1.0),
        (Size(9000, 6000), Mpp(0.25, 0.25), 8.73),
    ],
)
def test_cells_are_painted_where_they_lie(
    make_result: MakeResult, size: Size, mpp: Mpp, scale: float
) -> None:
    step = 100 * scale
    rows, columns = int(np.ceil(size.height / step)), int(np.ceil(size.width / step))
    tiles = np.full((rows, columns), 0.2, np.float32)
    tiles[::2, ::2] = tiles[1::2, 1::2] = 0.4
    look = looker(make_result(tiles, size=size, mpp=mpp, scale=scale, downsamples=(1,)))
    near = 2.1 * size.width / 800  # two px of the picture, in level-0 px
    for row in range(rows):
        for column in range(columns):
            left, right = column * step, min((column + 1) * step, size.width)
            top, bottom = row * step, min((row + 1) * step, size.height)
            expected = shown(tiles[row, column])
            for x in (left + near, (left + right) / 2, right - near):
                for y in (top + near, (top + bottom) / 2, bottom - near):
                    assert abs(look(x, y) - expected).max() <= 2, (row, column)


def test_line_runs_outside_of_tumour(make_result: MakeResult) -> None:
    tiles = np.full((7, 10), 0.0, np.float32)
    tiles[3, 4] = 1.0
    look = looker(make_result(tiles))
    for x in (403, 450, 497):
        assert abs(look(x, 350) - shown(1.0)).max() <= 2
    assert look(399, 350).max() < 60
    assert look(501, 350).max() < 60
    assert look(450, 299).max() < 60
    assert abs(look(390, 350) - shown(0.0)).max() <= 2


def test_small_foci_survive_large_grids(make_result: MakeResult) -> None:
    # 2,000 cells on 500 px: one cell in sixteen could be sampled.
    tiles = np.zeros((900, 2000), np.float32)
    tiles[501, 1003] = 0.9
    result = make_result(tiles, size=Size(8000, 3600), patch=4, stride=4, downsamples=(1, 8))
    raster = rasterise(decide(result), Size(500, 225))
    assert np.argwhere(raster.tumour).tolist() == [[125, 250]]
    assert raster.probability.max() == np.float32(0.9)


def test_coverage_classes_look_different(make_result: MakeResult) -> None:
    coverage = np.ones((7, 10), np.uint8)
    coverage[:, 2], coverage[:, 4], coverage[:, 6] = 2, 0, 4
    tiles = np.full((7, 10), 0.3, np.float32)
    tiles[:, 8] = np.nan
    look = looker(make_result(tiles, coverage=coverage))

    def column(index: int) -> set[tuple[int, ...]]:
        return {
            tuple(look(index * 100 + 50 + dx, 350 + dy)) for dx in range(0, 14, 2) for dy in (0, 9)
        }

    looks = [column(index) for index in (1, 2, 4, 6, 8)]
    assert len({frozenset(each) for each in looks}) == 5
    assert [len(each) for each in looks] == [1, 1, 1, 2, 2]


def write_slide(path: Path, image: NDArray[np.uint8], levels: int = 1) -> None:
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            tiff.write(
                image[:: 2**level, :: 2**level],
                tile=(256, 256),
                photometric="rgb",
                compression="deflate",
                subfiletype=1 if level else 0,
                resolution=(20000 / 2**level, 20000 / 2**level),
                resolutionunit="CENTIMETER",
                metadata=None,
            )


@pytest.mark.parametrize("levels", [1, 2])
def test_slide_lies_under_its_cells(make_result: MakeResult, tmp_path: Path, levels: int) -> None:
    image = np.full((2800, 4000, 3), 255, np.uint8)
    image[400:800, 1200:1600] = (200, 30, 30)
    image[2700:, 3900:] = (30, 30, 200)
    slide = tmp_path / "slide.tiff"
    write_slide(slide, image, levels)
    coverage = np.full((7, 10), 2, np.uint8)
    coverage[0, 0] = 1
    result = make_result(
        np.zeros((7, 10), np.float32), coverage=coverage, size=Size(4000, 2800),
        patch=400, stride=400, downsamples=(1,),
    )  # fmt: skip
    backdrop = read_backdrop(result, slide, Size(500, 350)).astype(int)
    assert abs(backdrop[52:98, 152:198] - (200, 30, 30)).max() <= 8
    assert abs(backdrop[60:90, 210:] - 255).max() <= 8
    look = looker(result, slide=slide)
    red = look(1400, 600)
    assert red[0] > red[1] + 60
    assert abs(look(1190, 600) - 255).max() <= 12
    assert abs(look(1610, 600) - 255).max() <= 12
    blue = look(3950, 2750)
    assert blue[2] > blue[0] + 60


def test_another_slide_is_refused(make_result: MakeResult, tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tiff", np.full((600, 900, 3), 255, np.uint8))
    with pytest.raises(ResultError, match="900 × 600"):
        write_heatmap(make_result(), tmp_path / "x.png", slide=tmp_path / "slide.tiff")
    assert not list(tmp_path.glob("*.png"))


def words(result: Result) -> str:
    figure, _ = draw_heatmap(result, side=400)
    return "\n".join(text.get_text() for text in figure.texts)


def test_picture_says_what_it_is(make_result: MakeResult) -> None:
    text = words(make_result(synthetic=True, name="a"))
    for expected in (
        "Trained on synthetic tissue",
        "Research use only – not for diagnosis",
        "lymph-node 1.2.0",
        "Slide score 0.9",
        "threshold",
        "µm",
    ):
        assert expected in text
    assert "synthetic" not in words(make_result(name="b"))
    nothing = make_result(coverage=np.full((7, 10), 2, np.uint8), name="c")
    assert "no tissue was analysed" in words(nothing)


@pytest.mark.parametrize("size", [Size(60, 9000), Size(9000, 60)])
def test_odd_proportions(make_result: MakeResult, tmp_path: Path, size: Size) -> None:
    result = make_result(
        np.zeros((-(-size.height // 100), -(-size.width // 100)), np.float32),
        size=size, name="$x_1$ " + "long" * 40,
    )  # fmt: skip
    write_heatmap(result, tmp_path / "x.png", side=400)
    write_heatmap(result, tmp_path / "y.png", side=400)
    assert (tmp_path / "x.png").read_bytes() == (tmp_path / "y.png").read_bytes()


def test_sides_have_limits(make_result: MakeResult) -> None:
    with pytest.raises(UsageError):
        draw_heatmap(make_result(), side=10)


@pytest.mark.parametrize(("most", "length"), [(999, 500), (1000, 1000), (0.3, 0.2), (4999, 2000)])
def test_scale_bar_lengths_are_round(most: float, length: float) -> None:
    assert round_length(most) == pytest.approx(length)
