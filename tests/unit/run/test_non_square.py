"""A slide whose px are not square, from its file to every export: the truth is drawn in µm."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from numpy.typing import NDArray

from wsi_pipeline.evaluation.detections import suppress
from wsi_pipeline.evaluation.froc import hits
from wsi_pipeline.evaluation.lesions import find_lesions
from wsi_pipeline.evaluation.metastasis_size import largest_extent_um
from wsi_pipeline.evaluation.overlap import measure_overlap
from wsi_pipeline.evaluation.settings import FrocRule, TileRule
from wsi_pipeline.evaluation.tile_truth import label_tiles
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.export.findings import Box, find
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import draw_heatmap
from wsi_pipeline.export.mask_tiff import write_tiff
from wsi_pipeline.export.table import write_csv
from wsi_pipeline.geometry import NO_STRETCH, Mpp, PerAxis
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.openslide_reader import OpenSlideReader
from wsi_pipeline.stitch.record import read_record
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import BoxTruth, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.tiles.patches import read_patch
from wsi_pipeline.training.candidates import label
from wsi_pipeline.training.recipe_sections import LabelRule

MakeWork = Callable[..., Work]

#: µm: the slide, its tissue's right edge, and the tumour's left, top, width and height.
SLIDE_UM, TISSUE_UM, TUMOUR_UM = (512, 384), 416, (96, 160, 128, 96)
SQUEEZED = Mpp(0.5, 0.25)


def picture() -> NDArray[np.uint8]:
    """The slide at 0.25 µm per px, with a texture of several px."""
    px = np.full((SLIDE_UM[1] * 4, SLIDE_UM[0] * 4, 3), (236, 238, 240), np.float64)
    px[:, : TISSUE_UM * 4] = NORMAL_COLOUR
    left, top, width, height = (4 * um for um in TUMOUR_UM)
    px[top : top + height, left : left + width] = TUMOUR_COLOUR
    y, x = np.mgrid[: px.shape[0], : px.shape[1]]
    px += 9 * (np.sin(x / 11) * np.cos(y / 7))[..., None]
    return px.clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Analysed:
    path: Path
    result: Result

    @property
    def decision(self) -> Decision:
        return decide(self.result)

    @property
    def truth(self) -> BoxTruth:
        """The tumour in the slide's own level-0 px."""
        mpp = self.decision.mpp_0
        left, top, width, height = TUMOUR_UM
        return BoxTruth(((left / mpp.x, top / mpp.y, width / mpp.x, height / mpp.y),))


@pytest.fixture
def analyse(tmp_path: Path, make_work: MakeWork) -> Callable[..., Analysed]:
    """Analyses the picture, stored with px of some size."""

    def make(mpp: Mpp, **settings: object) -> Analysed:
        x, y = round(mpp.x / 0.25), round(mpp.y / 0.25)
        px = picture()
        stored = px.reshape(px.shape[0] // y, y, px.shape[1] // x, x, 3).mean(axis=(1, 3))
        path = tmp_path / f"{mpp.x}x{mpp.y}.tiff"
        write_pyramid(path, np.rint(stored).astype(np.uint8), mpp=mpp)
        work = make_work(**settings)
        final = tmp_path / f"{path.stem}-{settings}.zarr"
        return Analysed(
            path, analyse_slide(prepare(path, work.package, work.analysis), final, work)
        )

    return make


@pytest.mark.parametrize("mpp", [SQUEEZED, Mpp(0.25, 1.0)])
def test_areas_and_places_are_those_of_the_slide_with_square_px(
    analyse: Callable[..., Analysed], mpp: Mpp
) -> None:
    square, squeezed = analyse(Mpp(0.5, 0.5)), analyse(mpp)
    facts = squeezed.result.attributes
    # Cells of 64 px of 0.5 µm; the coarser axis is 1 µm at most, so it is enlarged to the model's.
    assert facts["grid"]["mpp"] == pytest.approx({"x": 0.5, "y": 0.5})
    one, other = squeezed.decision, square.decision
    assert one.probability.shape == other.probability.shape == (12, 16)
    assert (one.coverage == other.coverage).all()
    assert np.nanmax(np.abs(one.probability - other.probability)) < 0.02
    assert facts["tumour_area_mm2"] == pytest.approx(128 * 96 / 1e6)
    assert facts["tissue_area_mm2"] == pytest.approx(416 * 384 / 1e6)
    region = find(squeezed.result).largest_regions[0]
    assert region.box_um == Box(*map(float, TUMOUR_UM))
    assert region.centroid_um.x == pytest.approx(96 + 64)
    assert region.area_mm2 == pytest.approx(128 * 96 / 1e6)


def test_the_model_sees_the_patches_of_the_slide_with_square_px(
    analyse: Callable[..., Analysed],
) -> None:
    square, squeezed = analyse(Mpp(0.25, 0.25)), analyse(SQUEEZED)
    readers = [open_slide(one.path) for one in (square, squeezed)]
    grids = [one.decision.grid for one in (square, squeezed)]
    assert grids[0].size == grids[1].size
    for column, row in ((3, 5), (0, 0), (7, 8), (12, 11)):
        fine, coarse = (
            read_patch(reader, grid, column, row).astype(int)
            for reader, grid in zip(readers, grids, strict=True)
        )
        # Interpolation differs at edges by less than a px, and nowhere else by more than rounding.
        assert np.abs(fine - coarse).mean() < 1
        assert np.percentile(np.abs(fine - coarse), 95) <= 3


def test_masks_lie_on_the_slide_px_for_px(analyse: Callable[..., Analysed]) -> None:
    result = analyse(SQUEEZED).result
    for level in range(3):
        mask = np.asarray(result.mask(level)[...])
        assert mask.shape == (1536 >> level, 1024 >> level)
        rows, columns = np.nonzero(mask == 1)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (box == np.array([192, 640, 448, 1024]) >> level).all()
    (image,) = result.ome["multiscales"]
    scale, place = image["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == pytest.approx([32, 32])
    # The centre of the first cell, from the centre of the first px.
    assert place["translation"] == pytest.approx([16 - 0.125, 16 - 0.25])


def test_every_export_says_the_same(analyse: Callable[..., Analysed], tmp_path: Path) -> None:
    squeezed = analyse(SQUEEZED)
    result = squeezed.result
    write_geojson(result, tmp_path / "a.geojson")
    (feature,) = json.loads((tmp_path / "a.geojson").read_text())["features"]
    corners = np.array(feature["geometry"]["coordinates"][0])
    assert corners.min(axis=0).tolist() == [192, 640]
    assert corners.max(axis=0).tolist() == [448, 1024]
    assert feature["properties"]["measurements"]["Area mm2"] == pytest.approx(128 * 96 / 1e6)

    write_csv(result, tmp_path / "a.csv")
    rows = pyarrow.csv.read_csv(tmp_path / "a.csv").to_pylist()
    assert {(row["width"], row["height"]) for row in rows} == {(64, 128)}
    tumour = [(row["x"], row["y"]) for row in rows if row["tumour"] == 1]
    assert min(tumour) == (192, 640)
    assert len(tumour) == 4 * 3

    write_tiff(result, tmp_path / "mask.tiff")
    mask = OpenSlideReader(tmp_path / "mask.tiff").info  # a mask is no slide
    assert mask.mpp is not None
    assert (mask.mpp.x, mask.mpp.y) == pytest.approx((0.5, 0.25))
    assert mask.size == open_slide(squeezed.path).info.size

    _, axes = draw_heatmap(result, slide=squeezed.path, side=512)
    shown = axes.get_window_extent()
    assert (shown.width, shown.height) == pytest.approx((512, 384))
    ends = axes.transData.transform([(192, 640), (448, 1024)])
    across, down = np.abs(ends[1] - ends[0])
    assert (across, down) == pytest.approx((128, 96))


def test_evaluation_measures_in_um(analyse: Callable[..., Analysed]) -> None:
    square, squeezed = analyse(Mpp(0.5, 0.5)), analyse(SQUEEZED)
    labels, axes, detections = [], [], []
    froc = FrocRule(downsample=16, itc_um=100)
    for one in (square, squeezed):
        table = one.result.tile_table()
        grid = one.decision.grid
        x, y = table["x"].astype(np.int64), table["y"].astype(np.int64)
        labels.append(label_tiles(one.truth, grid, x, y, TileRule("central", 32)))
        assert labels[-1].sum() == 4 * 3
        cells = np.stack([x / grid.cell_0.x, y / grid.cell_0.y], axis=1).astype(np.int64)
        rule = LabelRule(rule="central", central_px=32)
        assert (label(grid, cells, one.truth, rule, 4)[0] == labels[-1]).all()
        overlap = measure_overlap(one.decision, one.truth)
        assert overlap.dice == 1
        assert overlap.tumour * overlap.px_mm2 == pytest.approx(128 * 96 / 1e6)
        lesions = find_lesions(one.truth, froc, one.decision.mpp_0, one.decision.slide)
        axes.append((lesions.extent_um[0], largest_extent_um(one.decision)))
        found = suppress(one.decision)
        detections.append(found)
        assert (hits(found, lesions).lesions > 0).all()
        x_um, y_um = found.x * one.decision.mpp_0.x, found.y * one.decision.mpp_0.y
        assert (np.abs(x_um - 160) <= 64).all()
        assert (np.abs(y_um - 208) <= 48).all()
    assert (labels[0] == labels[1]).all()
    assert axes[0] == pytest.approx(axes[1], rel=1e-6)
    assert len(detections[0]) == len(detections[1])


def test_it_is_told(analyse: Callable[..., Analysed]) -> None:
    told = analyse(SQUEEZED).result
    alarms = {alarm.code: alarm.message for alarm in told.alarms}
    assert "0.5 × 0.25 µm/px" in alarms["non-square-pixels"]
    assert any("not square" in warning for warning in told.attributes["warnings"])
    same = analyse(Mpp(0.5, 0.5)).result
    assert "non-square-pixels" not in {alarm.code for alarm in same.alarms}


def test_a_level_is_made_square_too(analyse: Callable[..., Analysed]) -> None:
    squeezed = analyse(SQUEEZED, level=1)
    facts = squeezed.result.attributes
    assert facts["grid"]["mpp"] == pytest.approx({"x": 1.0, "y": 1.0})
    assert squeezed.result.mask(0).shape == (768, 512)
    assert squeezed.decision.probability.shape == (6, 8)
    # Cells of 64 µm: the tumour's edges lie in the middle of some.
    assert facts["tissue_area_mm2"] == pytest.approx(416 * 384 / 1e6, abs=64 * 384 / 1e6)


def test_results_of_before_have_no_stretch(analyse: Callable[..., Analysed]) -> None:
    """They took the mean of both axes: their cells are where they said."""
    result = analyse(SQUEEZED).result
    facts = result.record.to_json()
    grid = facts["grid"]
    for key in ("stretch", "cell_height_px_0", "patch_height_px_0"):
        del grid[key]
    grid |= {"scale": 4 / 3, "columns": 12, "rows": 18}
    grid |= {"cell_px_0": 64 * 4 / 3, "patch_px_0": 64 * 4 / 3}
    old = read_record(facts, result.path).grid
    assert old.cell_0 == old.patch_0 == PerAxis(64 * 4 / 3, 64 * 4 / 3)
    assert old.stretch == NO_STRETCH
