"""A map stitched of tiles is the map of the network run once on the whole padded slide."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline import grid
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.classes import NOT_ANALYSED
from wsi_pipeline.errors import SlideMetadataError
from wsi_pipeline.export.cell_tiles import STEPS, encode_tile
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.export.mask_tiff import write_tiff
from wsi_pipeline.export.table import tile_table
from wsi_pipeline.export.tile_means import tissue_cells
from wsi_pipeline.geometry import Region
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import checked_slide, regions
from wsi_pipeline.run.observer import SilentObserver
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide import open_slide
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.maps import MAP_CLASSES, answer_map, make_map_network, make_map_package
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid
from wsi_pipeline.tiles.plan import Coverage

WIDTH, HEIGHT = 461, 387


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tissue of two colours to the very edges, and a corner of glass."""
    path = tmp_path_factory.mktemp("slide") / "slide.tiff"
    rng = np.random.default_rng(4)
    image = np.empty((HEIGHT, WIDTH, 3))
    image[:] = NORMAL_COLOUR
    image[100:260, 60:300] = TUMOUR_COLOUR
    image[250:, 300:] = 243
    image += rng.normal(0, 25, image.shape)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8), mpp=0.5)
    return path


def run(
    slide: Path,
    package: ModelPackage,
    cache: Path,
    out: Path,
    *,
    workers: int = 2,
    observer: SilentObserver | None = None,
    **said: Any,
) -> Result:
    analysis = AnalysisSettings.model_validate({"min_tissue": 0.0, **said})
    request = RuntimeRequest("cpu", "auto", cache, threads=2)
    with connect(None, workers) as scheduler:
        work = Work(package, analysis, request, scheduler)
        return analyse_slide(prepare(slide, package, analysis), out, work, observer=observer)


def whole(slide: Path, package: ModelPackage, stride: int) -> NDArray[np.float32]:
    """The network once on the whole slide, white around it; cells of the slide."""
    about = package.description
    assert about.map is not None
    margin, cell = about.map.margin_px, about.map.stride_px * about.map.pool
    width, height = (-(-length // 16) * 16 + 2 * margin for length in (WIDTH, HEIGHT))
    image = open_slide(slide).read(Region(0, -margin, -margin, width, height))
    network = make_map_network(stride, units=about.units)
    found = answer_map(network, about, np.ascontiguousarray(image)[None])
    return found[0, ..., : -(-HEIGHT // cell), : -(-WIDTH // cell)]


@pytest.mark.parametrize(
    ("stride", "units", "pool", "said"),
    [
        (1, 1, 1, {}),
        (4, 3, 1, {}),
        (16, 1, 1, {}),
        (4, 1, 2, {"stride": 48}),
        (1, 3, 1, {"stride": 40}),
    ],
    ids=["stride-1", "stride-4-classes", "stride-16", "pooled-overlap", "overlap-classes"],
)
def test_it_equals_the_network_run_once(
    slide: Path, tmp_path: Path, stride: int, units: int, pool: int, said: dict[str, Any]
) -> None:
    package = make_map_package(
        tmp_path / "package",
        stride=stride,
        units=units,
        pool=pool,
        patch_px={1: 96, 4: 128, 16: 160}[stride],
    )
    result = verify(run(slide, package, tmp_path / "cache", tmp_path / "a.zarr", **said).path)
    expected = whole(slide, package, stride)
    found = result.probability
    assert found.shape == expected.shape
    assert np.ptp(expected) > 0.5  # a constant map would prove nothing
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert result.record.grid.map_px == stride * pool
    assert result.cell_0.x == stride * pool


class Interrupting(SilentObserver):
    """Ends a run after two regions, as a crash would."""

    def __init__(self) -> None:
        self.left = 2

    def advanced(self, tiles: int, bytes_read: int) -> None:  # noqa: ARG002 - the interface's
        self.left -= 1
        if not self.left:
            raise InterruptedError


def test_workers_and_interruptions_change_nothing(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Regions of one or two tiles, so that there are several.
    monkeypatch.setattr(regions, "REGION_VALUES", 2 * 16 * 16 + 1)
    package = make_map_package(tmp_path / "package", patch_px=96)
    cache = tmp_path / "cache"
    said: dict[str, Any] = {"stride": 32, "min_tissue": 0.3}
    first = run(slide, package, cache, tmp_path / "first.zarr", workers=1, **said)
    final = tmp_path / "second.zarr"
    with pytest.raises(InterruptedError):
        run(slide, package, cache, final, workers=3, observer=Interrupting(), **said)
    second = run(slide, package, cache, final, workers=3, **said)
    assert second.record.timings.resumed_tiles > 0
    assert second.seal.arrays == first.seal.arrays


def test_glass_is_left_out_and_every_export_shows_the_map(slide: Path, tmp_path: Path) -> None:
    package = make_map_package(tmp_path / "package", units=3, patch_px=96)
    result = run(slide, package, tmp_path / "cache", tmp_path / "a.zarr", min_tissue=0.3)
    coverage, planes, expected = result.coverage, result.probability, whole(slide, package, 4)
    rows, columns = coverage.shape
    assert coverage[-1, -1] == Coverage.GLASS
    looked = coverage == Coverage.CLASSIFIED
    assert 0.5 < looked.mean() < 1
    assert np.isnan(planes[:, ~looked]).all()
    np.testing.assert_allclose(planes[:, looked], expected[:, looked], rtol=0, atol=1e-4)
    # Tiles of 16 × 16 cells: all of one is looked at, or nothing.
    shares = looked[:96, :112].reshape(6, 16, 7, 16).mean(axis=(1, 3))
    assert set(np.unique(shares)) == {0, 1}

    labels = np.where(looked, expected.argmax(axis=0), NOT_ANALYSED)
    mask = np.asarray(result.mask(0)[...])
    np.testing.assert_array_equal(mask, labels.repeat(4, 0).repeat(4, 1)[:HEIGHT, :WIDTH])
    areas = result.record.class_areas_mm2
    for label, name in enumerate(MAP_CLASSES):
        assert areas[name] == pytest.approx((mask == label).sum() * 0.25e-6, abs=1e-6)

    table = tile_table(result)
    assert len(table) == result.tiles
    x, y = table["x"][0].as_py() // 4, table["y"][0].as_py() // 4
    mean = planes[1, y : y + 16, x : x + 16].mean()
    assert table["prob_tumour"][0].as_py() == pytest.approx(float(mean), abs=1e-5)
    assert table["width"][0].as_py() == 64

    write_geojson(result, tmp_path / "a.geojson")
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    tumour = [one for one in features if one["properties"]["classification"]["name"] == "Tumor"]
    assert sum(one["properties"]["measurements"]["Area mm2"] for one in tumour) == pytest.approx(
        areas["tumour"], abs=1e-5
    )
    write_tiff(result, tmp_path / "a.tiff", of="normal")
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        np.testing.assert_array_equal(file.pages[0].asarray() == 255, mask == 2)
    write_heatmap(result, tmp_path / "a.png", slide=slide)
    assert (tmp_path / "a.png").stat().st_size > 10_000
    tile = gzip.decompress(encode_tile(result, 0, 0, 0, "normal") or b"")
    steps = np.frombuffer(tile, "<u2", rows * columns).reshape(rows, columns)
    np.testing.assert_allclose(steps[looked] / STEPS, expected[2][looked], rtol=0, atol=2e-4)
    tissue = tissue_cells(result)
    assert tissue.shape == coverage.shape
    assert (tissue[looked] >= round(0.3 * 254)).all()


def test_a_map_that_is_too_large_is_refused_before_the_run(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_map_package(tmp_path / "package", units=3, patch_px=96)
    monkeypatch.setattr(checked_slide, "MAX_CELLS", 10_000)
    monkeypatch.setattr(grid, "MAX_CELLS", 10_000)
    with pytest.raises(SlideMetadataError, match=r"116 × 97 cells for 3 .* --pool 2 "):
        prepare(slide, package, AnalysisSettings())


@pytest.mark.parametrize("stride", [30, 65])
def test_a_stride_that_does_not_fit_is_refused(slide: Path, tmp_path: Path, stride: int) -> None:
    package = make_map_package(tmp_path / "package", patch_px=96)
    with pytest.raises(SlideMetadataError, match=f"a stride of {stride} px is not"):
        prepare(slide, package, AnalysisSettings(stride=stride))
