"""A slide of ``wsi synth --plant`` from the upload to the report: all four classes everywhere.

The layer of the most likely class is photographed opaque: every px must have the colour of the
class that the stored mask has there, or a screen px further. So must those of one class alone.
"""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import shapely
from browser_support import accessibility_problems
from class_layer_support import check_colours, mask_on_screen, open_alone, photograph
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from results_support import api, settle
from scipy import ndimage
from service_process_support import TOKEN, Site

from wsi_pipeline.cohort.table import Cohort, CohortSlide
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.evaluation import evaluate
from wsi_pipeline.evaluation.report.page import report_page
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.geometry import Size
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import CLASSES, KINDS, SynthSpec, parse_plants, write_slide
from wsi_pipeline.testing.kinds import KINDS_COLOURS, make_kinds_package

#: Planted in level-0 px, on the model's grid of 256 px, and a place that all of it is near.
PLANTS = (
    "tumour:rect:2560,1536,768,768",
    "necrosis:rect:1536,1792,768,512",
    "mucin:rect:1792,2304,768,256",
)
CENTRE = 2450.0, 2200.0
#: One of the names.
_NAMES = re.compile(f"^({'|'.join(CLASSES)})$")


@dataclass(frozen=True)
class Planted:
    """A slide with all four kinds, and its result."""

    slide_id: str
    job_id: str
    result: Result
    slide: Path

    @property
    def downsample(self) -> float:
        """Level-0 px per px of the mask."""
        return self.result.slide.analysed.downsample


@pytest.fixture(scope="module")
def served_package(kinds_package: ModelPackage) -> ModelPackage:
    """A model of four classes."""
    return kinds_package


@pytest.fixture(scope="module")
def planted(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("kinds")
    tumour, *others = parse_plants(list(PLANTS))
    slide = folder / "kinds.tiff"
    spec = SynthSpec(size=Size(5120, 4096), seed=5, tumour=tumour.where, plants=tuple(others))
    write_slide(spec, slide)
    with api(service.url, TOKEN) as asked:
        slide_id = asked.upload(slide)
        job_id = asked.analyse(slide_id)
        result = asked.result(job_id, folder)
    # Without all of them there is nothing to compare.
    assert set(range(len(CLASSES))) <= set(np.unique(result.mask(0)[...]))
    return Planted(slide_id, job_id, result, slide)


@pytest.fixture
def viewer(page: Page, service: Site, planted: Planted) -> Page:
    page.goto(f"{service.url}/slides/{planted.slide_id}")
    page.wait_for_selector(".class-menu fieldset")
    settle(page)
    return page


def test_the_menu_has_every_class_and_shows_the_one_chosen(viewer: Page, planted: Planted) -> None:
    menu = viewer.get_by_role("group", name="Class")
    expect(menu.get_by_role("radio")).to_have_count(len(CLASSES))
    for name in CLASSES:
        choice = menu.locator("label").filter(has_text=name)
        red, green, blue = bytes.fromhex(KINDS_COLOURS[name][1:])
        swatch = choice.locator(".swatch")
        expect(swatch).to_have_css("background-color", f"rgb({red}, {green}, {blue})")
    expect(menu.get_by_role("radio", name="tumour")).to_be_checked()
    before = photograph(viewer)
    menu.get_by_role("radio", name="mucin").check()
    settle(viewer)
    assert (photograph(viewer) != before).any(axis=-1).mean() > 0.02
    viewer.wait_for_url("**voc_mucin*")
    # A colleague who opens the link sees the same class.
    viewer.reload()
    expect(menu.get_by_role("radio", name="mucin")).to_be_checked()
    viewer.get_by_role("tab", name="Figures").click()
    stated = planted.result.record.class_areas_mm2
    figures = viewer.locator(".figures")
    expect(figures.get_by_text("Mucin area", exact=True)).to_be_visible()
    for name in CLASSES:
        term = figures.locator("dt").filter(has=viewer.locator(".class-name", has_text=name))
        expect(term).to_have_count(1)
        assert stated[name] > 0
    viewer.get_by_role("tab", name="Regions").click()
    expect(viewer.locator(".regions-head")).to_contain_text("where mucin is the most likely class")
    viewer.locator(".region-row").first.click()
    # Notes are kept of the positive class's regions.
    expect(viewer.locator(".note")).to_have_count(0)
    viewer.keyboard.press("k")
    viewer.get_by_role("tab", name="Layers").click()
    expect(menu.get_by_role("radio", name="mucin")).not_to_be_checked()


def test_the_legend_names_every_class(viewer: Page) -> None:
    legend = viewer.locator(".class-legend")
    expect(legend).to_be_hidden()
    viewer.keyboard.press("t")
    expect(viewer.get_by_role("checkbox", name="Most likely class")).to_be_checked()
    expect(legend.locator("li")).to_have_text(list(CLASSES))
    expect(viewer.locator("[data-slider=threshold]")).to_be_hidden()
    settle(viewer)
    viewer.locator(".viewer-slide").hover()
    expect(viewer.locator(".readout-probability")).to_have_text(_NAMES)
    assert accessibility_problems(viewer) == []


def get_geojson(service: Site, job_id: str) -> list[dict[str, Any]]:
    """The regions that the page's link gives."""
    told = httpx.get(
        f"{service.url}/v1/jobs/{job_id}/regions.geojson",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    ).raise_for_status()
    features: list[dict[str, Any]] = json.loads(told.content)["features"]
    return features


def test_regions_and_report_have_all_four(service: Site, planted: Planted) -> None:
    features = get_geojson(service, planted.job_id)
    kinds = {
        one["properties"]["classification"]["name"]: one["properties"]["classification"]["color"]
        for one in features
    }
    assert kinds.keys() == {"normal", "Tumor", "necrosis", "mucin"}
    row = CohortSlide(
        name=planted.result.name,
        label="tumour",
        patient="p",
        annotated="full",
        truth=planted.slide.with_suffix(".xml"),
        truth_kind="asap",
    )
    cohort, settings = Cohort((row,)), EvaluationSettings(resamples=20)
    done = evaluate(cohort, pair(cohort, Sources(results=(planted.result.path,)), None), settings)
    for one in done.metrics["classes"]["classes"]:
        assert one["dice"]["pooled"]["value"] > 0.8, one["name"]
    page = report_page(done, settings)
    for name, colour in KINDS_COLOURS.items():
        assert f'style="background:{colour}"></i>{name}' in page


def test_the_most_likely_class_counts_until_a_threshold_is_chosen(viewer: Page) -> None:
    rule, slider = viewer.locator(".layer-rule"), viewer.locator("[data-slider=threshold]")
    expect(rule).to_contain_text("where tumour is the most likely class")
    expect(viewer.locator(".slider-head output").first).to_have_text("not in use")
    before = photograph(viewer)
    slider.focus()
    slider.press("End")
    expect(rule).to_contain_text("where the probability of tumour is 1.000 or more")
    settle(viewer)
    assert (photograph(viewer) != before).any()
    viewer.get_by_role("button", name="Show the most likely class").click()
    expect(rule).to_contain_text("where tumour is the most likely class")
    settle(viewer)
    assert np.array_equal(photograph(viewer), before)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_lies_where_the_mask_has_it(
    page: Page, service: Site, planted: Planted, name: str
) -> None:
    # Opaque, without outline and coverage; of the class alone.
    of = "" if name == "tumour" else f"_{name}"
    zoom, shown = 0.41, open_layer(page, service, planted, 0.41, f"graphite_100__v{of}")
    open_layer(page, service, planted, zoom, "graphite_100__")
    without = photograph(page)
    mask = np.asarray(planted.result.mask(0)[...])
    expected = mask_on_screen(mask, shown.shape[:2], CENTRE, zoom, planted.downsample)
    # Below the rule there is a faint veil, above it the full colour: far from the tissue's.
    changed = np.abs(shown.astype(int) - without).max(axis=-1) > 40
    wanted = expected == CLASSES.index(name)
    assert wanted.sum() > 1000
    near = np.ones((3, 3), bool)
    assert not (changed & ~ndimage.binary_dilation(wanted, near)).any()


@pytest.mark.parametrize("zoom", [0.41, 0.83])
def test_the_layer_lies_on_the_mask(
    page: Page, service: Site, planted: Planted, zoom: float
) -> None:
    # Opaque, with the most likely class, without outline and coverage.
    shown = open_layer(page, service, planted, zoom, "graphite_100__vl")
    mask = np.asarray(planted.result.mask(0)[...])
    expected = mask_on_screen(mask, shown.shape[:2], CENTRE, zoom, planted.downsample)
    assert min(check_colours(shown, expected, CLASSES, KINDS_COLOURS)) > 1000


def open_layer(
    page: Page, service: Site, planted: Planted, zoom: float, settings: str
) -> NDArray[np.uint8]:
    """The pane without what lies over the slide, with a layer of these settings."""
    x, y = CENTRE
    layer = f"layer={planted.job_id}_{settings}"
    address = f"{service.url}/slides/{planted.slide_id}?x={x}&y={y}&z={zoom}&{layer}"
    return open_alone(page, address, ".class-menu fieldset")


@pytest.fixture(scope="module")
def overlapping(service: Site, planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Id of a job of the same slide with classes that do not exclude one another, low threshold."""
    package = make_kinds_package(
        tmp_path_factory.mktemp("any") / "any",
        task="multilabel",
        positive="necrosis",
        name="any-kind",
        notice="Research preview, fitted on 192 patches",
        training={"data": "patches of one synthetic slide"},
    )
    (service.folder / "models" / "any-kind").symlink_to(package.folder)
    with api(service.url, TOKEN) as asked:
        return asked.analyse(planted.slide_id, model="any-kind", stride=32, threshold=0.02)


@pytest.mark.slow
def test_classes_that_overlap(
    page: Page, service: Site, planted: Planted, overlapping: str
) -> None:
    shapes: dict[str, list[shapely.Geometry]] = {}
    for one in get_geojson(service, overlapping):
        name = one["properties"]["classification"]["name"]
        shapes.setdefault(name, []).append(shapely.from_geojson(json.dumps(one["geometry"])))
    areas = {name: shapely.union_all(parts) for name, parts in shapes.items()}
    assert areas.keys() == {"Tumor", "necrosis", "mucin"}
    pairs = itertools.combinations(areas.values(), 2)
    assert any(one.intersection(other).area > 0 for one, other in pairs)
    page.goto(f"{service.url}/slides/{planted.slide_id}?layer={overlapping}")
    menu = page.get_by_role("group", name="Class")
    expect(menu.get_by_role("radio")).to_have_count(len(KINDS))
    expect(menu.get_by_role("radio", name="necrosis")).to_be_checked()
    expect(page.locator(".layer-rule")).to_be_hidden()
    expect(page.locator(".layer .badge")).to_have_text("Research preview, fitted on 192 patches")
    settle(page)
    page.get_by_role("tab", name="Figures").click()
    figures = page.locator(".figures")
    with api(service.url, TOKEN) as asked:
        findings = asked.get(f"/v1/jobs/{overlapping}/result")["findings"]
    mm2 = (findings["provenance"]["slide"]["mpp"]["x"] / 1000) ** 2
    for name, label in (("necrosis", "Necrosis"), ("tumour", "Tumour")):
        # Page, area and outlines are of the cells where the class reaches the threshold.
        drawn = areas["Tumor" if name == "tumour" else name].area * mm2
        assert findings["class_areas_mm2"][name] == pytest.approx(drawn, rel=1e-6)
        page.get_by_role("tab", name="Layers").click()
        menu.get_by_role("radio", name=name).check()
        page.get_by_role("tab", name="Figures").click()
        shown = figures.locator("div", has=page.get_by_text(f"{label} area", exact=True))
        expect(shown.locator("dd").first).to_have_text(f"{drawn:.2f} mm²")
    # A threshold of its own for the class that is shown.
    page.get_by_role("tab", name="Layers").click()
    before = photograph(page)
    page.locator("[data-slider=threshold]").press("End")
    settle(page)
    assert (photograph(page) != before).any()
    assert accessibility_problems(page) == []


def test_the_worklist_names_the_class_and_the_areas(
    page: Page, service: Site, planted: Planted, overlapping: str
) -> None:
    page.goto(service.url)
    score = planted.result.slide_score
    assert score is not None
    of_all = page.locator(f"tr[data-job='{planted.job_id}']")
    expect(of_all.locator(".score")).to_have_text(f"tumour {score:.3f}")
    for name in ("normal", "necrosis", "mucin"):
        expect(of_all.locator(".class-area", has_text=name)).to_be_visible()
    of_any = page.locator(f"tr[data-job='{overlapping}']")
    expect(of_any.locator(".score")).to_contain_text("necrosis")
    expect(of_any.get_by_text("Research preview, fitted on 192 patches")).to_be_visible()


def test_the_menu_of_models_has_every_kind(page: Page, service: Site, overlapping: str) -> None:
    page.goto(service.url)
    page.get_by_role("checkbox", name="Select kinds.tiff").check()
    page.get_by_role("button", name="Analyse…", exact=True).click()
    dialog = page.get_by_role("dialog", name="Analyse slide")
    model = dialog.get_by_label("Model", exact=True)
    for name, said in (
        ("any-kind", "Classes: tumour, necrosis, mucin (any of them for each cell)"),
        ("small", "Classes: normal, tumour, necrosis, mucin (one of them for each cell)"),
    ):
        model.select_option(name)
        expect(dialog.get_by_text(said)).to_be_visible()
        expect(dialog.get_by_text("Licence: Apache-2.0")).to_be_visible()
    # Nothing is decided by a threshold here.
    expect(dialog.get_by_label("Threshold")).to_be_hidden()
    dialog.get_by_text("Model card").click()
    expect(dialog.get_by_text("patches of one synthetic slide")).to_be_visible()
    assert accessibility_problems(page) == []
