"""``--grid wsinfer`` and the export ``wsinfer-csv`` against WSInfer's own reference outputs."""

import csv
import itertools
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import SlideMetadataError
from wsi_pipeline.run.checked_slide import resolve_grid
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import make_stub_package
from wsi_pipeline.tiles.patches import read_patch

_GRID = AnalysisSettings(grid="wsinfer")


@pytest.fixture(scope="module")
def purple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slide of WSInfer's regression test: 4096 px of one colour, 0.25 µm."""
    path = tmp_path_factory.mktemp("slides") / "purple.tif"
    tifffile.imwrite(
        path,
        np.full((4096, 4096, 3), (160, 32, 240), np.uint8),
        photometric="rgb",
        compression="zlib",
        tile=(256, 256),
        resolution=(40_000, 40_000),
        resolutionunit="CENTIMETER",
    )
    return path


@pytest.mark.parametrize(
    ("model", "patch", "mpp"),
    [
        ("breast-tumor-inception_v4.tcga-brca", 350, 0.25),
        ("breast-tumor-resnet34.tcga-brca", 350, 0.25),
        ("breast-tumor-vgg16mod.tcga-brca", 350, 0.25),
        ("lung-tumor-resnet34.tcga-luad", 350, 0.5),
        ("pancancer-lymphocytes-inceptionv4.tcga", 100, 0.5),
        ("pancreas-tumor-preactresnet34.tcga-paad", 350, 1.5),
        ("prostate-tumor-resnet34.tcga-prad", 175, 0.5),
    ],
)
def test_the_tiles_are_those_of_its_reference_outputs(
    data: Path, purple: Path, tmp_path: Path, model: str, patch: int, mpp: float
) -> None:
    with (data / "reference" / "wsinfer" / model / "purple.csv").open(newline="") as file:
        rows = [
            tuple(int(row[name]) for name in ("minx", "miny", "width", "height"))
            for row in csv.DictReader(file)
        ]
    package = make_stub_package(tmp_path / "model", patch_px=patch, mpp=mpp)
    plan = prepare(purple, package, _GRID).plan
    side = round(plan.grid.patch_0.x)
    corners = plan.grid.corners_0(plan.cells)
    assert sorted((x, y, side, side) for x, y in corners.tolist()) == rows


@pytest.fixture(scope="module")
def cmu(data: Path) -> Path:
    return data / "slides" / "cmu-1-small-region.svs"


def test_patches_are_read_as_it_reads_them(cmu: Path, tmp_path: Path) -> None:
    package = make_stub_package(tmp_path / "model", patch_px=100, mpp=0.7)
    reader = open_slide(cmu)
    _, grid = resolve_grid(reader.info, package, _GRID)
    theirs = openslide.OpenSlide(cmu)
    side = round(100 * 0.7 / float(theirs.properties["openslide.mpp-x"]))
    assert side == 140
    cells = [(0, 0), (3, 5), (15, 4), (15, 21), (2, 21)]  # the last three over the edge
    for column, row in cells:
        place = (column * side, row * side)
        image = theirs.read_region(place, 0, (side, side)).convert("RGB").resize((100, 100))
        ours = read_patch(reader, grid, column, row)
        assert np.asarray(image).tolist() == ours.tolist(), (column, row)
    with pytest.raises(SlideMetadataError, match="leave out --level and --stride"):
        resolve_grid(reader.info, package, _GRID.model_copy(update={"stride": 50}))


def test_centres_on_the_slide_are_taken_and_no_others(cmu: Path, tmp_path: Path) -> None:
    width, height = openslide.OpenSlide(cmu).dimensions
    for patch in (97, 201, 342, 350):
        package = make_stub_package(tmp_path / str(patch), patch_px=patch, mpp=0.499)
        _, grid = resolve_grid(open_slide(cmu).info, package, _GRID)
        half = round(patch / 2)
        centres = itertools.product(range(half, width, patch), range(half, height, patch))
        rows, columns = np.nonzero(grid.with_centre)
        found = grid.corners_0(np.stack([columns, rows], axis=1))
        assert sorted(map(tuple, found.tolist())) == [(x - half, y - half) for x, y in centres]
