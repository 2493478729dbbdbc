"""A package that is an encoder with an answer for slides: no classes, but a place to look at."""

import re

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
    return with_networks(encoder, folder / "package", features=FEATURES)[0]


@pytest.fixture(scope="module")
def analysed(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    slide = tmp_path_factory.mktemp("slides") / "drawn.tiff"
    write_slide(SynthSpec(size=Size(2048, 1536), seed=3, tissue=0.6), slide)
    with api(service.url, TOKEN) as asked:
        asked.analyse(asked.upload(slide))
    return service


def test_list_and_viewer_show_the_answer_and_the_attention(analysed: Site, page: Page) -> None:
    page.goto(analysed.url)
    row = page.locator("tbody.group")
    expect(row).to_have_count(1)
    expect(row.locator(".col-score")).to_contain_text(" to ")
    expect(row.get_by_text("Suspicious", exact=True)).to_be_visible()
    page.get_by_role("link", name="drawn.tiff").click()
    layer = page.locator("section.layer")
    expect(layer.get_by_text("rank in the slide", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Regions").click()
    # A tenth of the cells is outlined.
    expect(page.get_by_role("tab", name="Regions")).to_have_text(re.compile(r"Regions\s*[1-9]"))
    page.get_by_role("tab", name="Figures").click()
    panel = page.locator(".figures")
    expect(panel.get_by_text("Slide probability")).to_be_visible()
    expect(panel.get_by_text("60 validation slides, 30 positive")).to_be_visible()
    expect(panel.get_by_text("Attention of rank 0.900 or more")).to_be_visible()
