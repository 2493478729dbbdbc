"""A model of several classes knows the kinds of tissue that are planted on a slide it never saw."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.classes import NOT_ANALYSED, ModelClass
from wsi_pipeline.cohort.table import Cohort, CohortSlide
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.evaluation import Evaluation, evaluate
from wsi_pipeline.evaluation.report.page import report_page
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.export.mask_tiff import write_tiff
from wsi_pipeline.export.table import tile_table
from wsi_pipeline.geometry import Size
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
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


QUICK = EvaluationSettings(resamples=50, pictures=2)


def evaluated(slide: Path, result: Result, kind: TruthKind) -> Evaluation:
    """The result against the outlines or the numbers that were written with the slide."""
    truth = class_mask_path(slide) if kind == "mask-classes" else slide.with_suffix(".xml")
    row = CohortSlide(
        name=slide.stem,
        label="tumour",
        patient="p",
        annotated="full",
        path=slide,
        truth=truth,
        truth_kind=kind,
    )
    cohort = Cohort((row,))
    return evaluate(cohort, pair(cohort, Sources(results=(result.path,)), None), QUICK)


def test_figures_of_every_class_are_those_of_mask_and_truth(planted: tuple[Path, Result]) -> None:
    slide, result = planted
    level = evaluated(slide, result, "mask-classes").metrics["classes"]
    assert (level["positive"], level["background"]) == ("tumour", "normal")
    assert level["labels"] == [one["name"] for one in level["classes"]] == list(CLASSES)
    mask = np.asarray(result.mask(0)[...])
    with tifffile.TiffFile(class_mask_path(slide)) as file:
        truth = file.series[0].levels[result.slide.level].asarray()
    for label, one in enumerate(level["classes"]):
        own, true = mask == label, truth == label
        if one["name"] == level["background"]:
            true &= mask != NOT_ANALYSED
        both = np.count_nonzero(own & true)
        dice = 2 * both / (np.count_nonzero(own) + np.count_nonzero(true))
        assert one["dice"]["pooled"]["value"] == pytest.approx(dice, abs=1e-3), one["name"]
        assert one["iou"]["pooled"]["value"] == pytest.approx(dice / (2 - dice), abs=1e-3)
        assert one["colour"] == KINDS_COLOURS[one["name"]]
        assert one["auc"]["value"] > 0.95
    # Cells are planted whole, but at the edge of the drawn tissue.
    confusion = np.array(level["confusion"])
    assert confusion.sum() == level["cells"] == result.record.counts.classified
    assert np.array_equal(confusion.sum(axis=0), np.bincount(labels_of(result), minlength=4))
    assert (np.diag(confusion) / confusion.sum(axis=1) > 0.7).all()
    assert level["accuracy"]["value"] == pytest.approx(np.trace(confusion) / confusion.sum())


def labels_of(result: Result) -> NDArray[np.uint8]:
    """Of the classified cells."""
    known = ~np.isnan(result.probability[0])
    labels = result.classes.decide(result.probability, result.threshold)
    return np.asarray(labels[known], np.uint8)


def test_outlines_by_group_say_the_same(planted: tuple[Path, Result]) -> None:
    by_number, by_group = (
        evaluated(*planted, kind).metrics["classes"] for kind in ("mask-classes", "asap")
    )
    for one, other in zip(by_number["classes"], by_group["classes"], strict=True):
        for figure in ("dice", "iou"):
            values = [it[figure]["pooled"]["value"] for it in (one, other)]
            assert values[0] == pytest.approx(values[1], abs=0.01)
    assert np.abs(np.subtract(by_number["confusion"], by_group["confusion"])).sum() <= 8


def test_the_report_shows_all_four_classes(planted: tuple[Path, Result]) -> None:
    evaluation = evaluated(*planted, "asap")
    page = report_page(evaluation, QUICK)
    _, _, section = page.partition('<section id="classes">')
    section, _, _ = section.partition("</section>")
    for name, colour in KINDS_COLOURS.items():
        assert f'style="background:{colour}"></i>{name}' in section
    assert "Class of interest, which all other sections are of: tumour" in section
    # The other sections are of tumour against all others.
    figures = evaluation.metrics["groups"]["all"]["patch_level"]
    own = evaluation.metrics["classes"]["classes"][CLASSES.index("tumour")]
    assert figures["auc"]["value"] > 0.95
    overlap = evaluation.metrics["groups"]["all"]["segmentation"]["dice"]["pooled"]["value"]
    assert overlap == pytest.approx(own["dice"]["pooled"]["value"], abs=0.01)
