"""A model of several classes knows the kinds of tissue that are planted on a slide it never saw."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.classes import NOT_ANALYSED, ModelClass
from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.export.mask_tiff import write_tiff
from wsi_pipeline.export.table import tile_table
from wsi_pipeline.geometry import Size
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import Work, analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.stitch.result import Result, verify
from wsi_pipeline.synth import CLASSES, labelled_patches
from wsi_pipeline.synth.planting import parse_plants
from wsi_pipeline.synth.spec import SynthSpec
from wsi_pipeline.synth.writer import class_mask_path, write_slide
from wsi_pipeline.testing.kinds import KINDS_COLOURS, KINDS_MPP, KINDS_PATCH_PX


def test_it_knows_every_kind_on_another_slide(kinds_package: ModelPackage) -> None:
    assert kinds_package.classes.names == CLASSES
    patches, labels = labelled_patches(
        16, seed=9, patch_px=KINDS_PATCH_PX, mpp=KINDS_MPP, slide_px=4096
    )
    with torch.inference_mode():
        probabilities = load_classifier(kinds_package)(as_pixels(patches)).numpy()
    assert probabilities.shape == (64, len(CLASSES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    found = probabilities.argmax(axis=1)
    for index in range(len(CLASSES)):
        assert (found[labels == index] == index).mean() >= 0.85
    assert (found == labels).mean() >= 0.95


@pytest.fixture(scope="module")
def planted(
    kinds_package: ModelPackage, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result]:
    """A slide with all kinds in rectangles on the model's grid, and what the model says of it."""
    folder = tmp_path_factory.mktemp("planted")
    (tumour,) = parse_plants(["tumour:rect:2560,1536,768,768"])
    plants = ["necrosis:rect:1536,1792,768,512", "mucin:rect:1792,2304,768,256"]
    spec = SynthSpec(
        size=Size(5120, 4096),
        seed=5,
        tumour=tumour.where,
        plants=parse_plants(plants),
    )
    slide = folder / "slide.tiff"
    write_slide(spec, slide)
    request = RuntimeRequest("cpu", "auto", model_cache, threads=2)
    with connect(None, 2) as scheduler:
        work = Work(kinds_package, AnalysisSettings(), request, scheduler)
        prepared = prepare(slide, kinds_package, work.analysis)
        result = analyse_slide(prepared, folder / "slide.zarr", work)
    return slide, result


def test_the_mask_shows_all_four_classes_where_they_were_planted(
    planted: tuple[Path, Result],
) -> None:
    slide, result = planted
    verify(result.path)
    mask = np.asarray(result.mask(0)[...])
    with tifffile.TiffFile(class_mask_path(slide)) as file:
        truth = file.series[0].levels[result.slide.level].asarray()
    looked = mask != NOT_ANALYSED
    for label in range(len(CLASSES)):
        own = looked & (truth == label)
        assert own.any()
        assert (mask[own] == label).mean() > 0.8, CLASSES[label]
    planes = result.probability
    known = ~np.isnan(planes[0])
    np.testing.assert_allclose(planes[:, known].sum(axis=0), 1, atol=1e-4)
    tumour = mask == CLASSES.index("tumour")
    px = result.slide.analysed.downsample
    mm2 = tumour.sum() * (px * result.mpp_0.x) * (px * result.mpp_0.y) / 1e6
    assert result.tumour_area_mm2 == pytest.approx(mm2, rel=1e-3)
    assert result.slide_score == planes[CLASSES.index("tumour")][known].max()


def test_exports_have_a_class_each(planted: tuple[Path, Result], tmp_path: Path) -> None:
    slide, result = planted
    mask = np.asarray(result.mask(0)[...])
    write_geojson(result, tmp_path / "a.geojson", tiles=True)
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    regions = [one["properties"] for one in features if "classification" in one["properties"]]
    colours = {one["classification"]["name"]: one["classification"]["color"] for one in regions}
    assert set(colours) == {"normal", "Tumor", "necrosis", "mucin"}
    assert colours["mucin"] == list(ModelClass("mucin", KINDS_COLOURS["mucin"]).rgb)
    table = tile_table(result)
    assert [name for name in table.column_names if name.startswith("prob_")] == [
        f"prob_{name}" for name in CLASSES
    ]
    assert set(table["class"].to_pylist()) == set(CLASSES)
    write_tiff(result, tmp_path / "a.tiff", of="necrosis")
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        shown = file.pages[0].asarray()
    assert np.array_equal(shown == 255, mask == CLASSES.index("necrosis"))
    write_heatmap(result, tmp_path / "a.png", slide=slide, of="mucin")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    with pytest.raises(UsageError, match="no probabilities of 'fat'; it has normal, tumour"):
        write_heatmap(result, tmp_path / "b.png", of="fat")
