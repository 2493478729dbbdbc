"""An encoder whose answer for slides weighs all tiles alike: nothing to show on the slide."""

import pytest
from networks_support import with_networks
from playwright.sync_api import Page, expect
from results_support import api
from service_process_support import TOKEN, Site

from wsi_pipeline.geometry import Size
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.synth import SynthSpec, write_slide
from wsi_pipeline.testing.encoders import FEATURES, make_encoder_package

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def served_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    folder = tmp_path_factory.mktemp("models")
    encoder = make_encoder_package(
        folder / "encoder", training={"data": "none: random weights"}, notice=""
    )
    return with_networks(encoder, folder / "package", "mean-pool", features=FEATURES)[0]


@pytest.fixture(scope="module")
def analysed(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    slide = tmp_path_factory.mktemp("slides") / "drawn.tiff"
    write_slide(SynthSpec(size=Size(2048, 1536), seed=3, tissue=0.6), slide)
    with api(service.url, TOKEN) as asked:
        asked.analyse(asked.upload(slide))
    return service


def test_there_is_nothing_to_show_on_the_slide_and_an_answer(analysed: Site, page: Page) -> None:
    page.goto(analysed.url)
    page.get_by_role("button", name="Download results of drawn.tiff").click()
    offered = page.get_by_role("group", name="Downloads of drawn.tiff").get_by_role("link")
    expect(offered).to_have_count(1)
    expect(offered).to_contain_text("Whole result")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="drawn.tiff").click()
    layer = page.locator("section.layer")
    expect(layer.get_by_text("Nothing to show on the slide")).to_be_visible()
    expect(layer.get_by_role("alert")).to_be_hidden()
    expect(layer.get_by_role("slider")).to_have_count(0)
    page.get_by_role("tab", name="Regions").click()
    expect(page.get_by_text("Regions are of classes, and this model has none.")).to_be_visible()
    for name in ("GeoJSON", "CSV"):
        expect(page.get_by_role("link", name=name)).to_be_hidden()
    page.get_by_role("tab", name="Figures").click()
    panel = page.locator(".figures")
    expect(panel.get_by_text("Slide probability")).to_be_visible()
    expect(panel.get_by_text("60 validation slides, 30 positive")).to_be_visible()
    expect(panel.get_by_text("Tissue classified")).to_be_visible()
    expect(panel.get_by_text("of the tissue", exact=True)).to_have_count(0)
