"""The answer for a slide in the worklist and the viewer: probability, interval, state, reason."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from browser_support import MODEL
from playwright.sync_api import Page, expect
from service_process_support import TOKEN, Site

from wsi_pipeline.client import Client
from wsi_pipeline.model.description import Training
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.slide_level_section import (
    SlideCalibrationNote,
    SlideLevelSection,
    SlideRule,
)
from wsi_pipeline.slide_level.calibration import SlideCalibration
from wsi_pipeline.slide_level.features import feature_names
from wsi_pipeline.slide_level.region_fit import LogisticScorer, RegionFit
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid
from wsi_pipeline.training.slide_level.package import write_with_fit

pytestmark = pytest.mark.timeout(900)

#: Share of the tissue that is tumour, and the state of such a slide.
SLIDES = {"much.tiff": (0.3, "Suspicious"), "none.tiff": (0.0, "Look again")}


@pytest.fixture(scope="module")
def served_package(package: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model of colours whose fit looks at the share of the tissue that is tumour only."""
    folder = tmp_path_factory.mktemp("models")
    about = package.description.model_copy(
        update={"training": Training(data="two colours"), "notice": ""}
    )
    package = dataclasses.replace(package, description=about)
    names = feature_names(package.classes)
    weight = np.zeros((41, 2, len(names)))
    # Odds grow with the logarithm of the share.
    weight[:, 1, names.index("tumour share ≥ 0.5")] = 3.0
    bias = np.zeros((41, 2))
    bias[:, 1] = 6.0 + np.append(0, np.linspace(-1, 1, 40))
    fit = RegionFit(
        LogisticScorer(np.zeros(len(names)), np.ones(len(names)), weight, bias),
        SlideCalibration(1.0, np.zeros(2), np.tile([1.0, 0.0, 0.0], (40, 1))),
    )
    section = SlideLevelSection(
        kind="regions-logistic",
        classes=("normal", "tumour"),
        negative="normal",
        fitted="by hand",
        slides={"normal": 70, "tumour": 30},
        patients=100,
        calibration=SlideCalibrationNote(method="none", fitted="by hand"),
        rule=SlideRule(slides=100, positives=30, clear_below=0.1, suspicious_from=0.8, needed=60),
    )
    return write_with_fit(package, folder / "fit", section, fit, version="2", overwrite=False)


@pytest.fixture(scope="module")
def filled(service: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("slides")
    with Client(service.url, TOKEN, state_dir=folder / "state") as client:
        jobs = []
        for name, (share, _) in SLIDES.items():
            _write(folder / name, share)
            slide = client.wait_slide(client.upload(folder / name).id)
            jobs.append(client.submit(slide.id, MODEL).id)
        for job in jobs:
            assert client.wait(job, timeout_seconds=240).state == "succeeded"
    return service


def _write(path: Path, share: float) -> None:
    """13 × 13 tiles of tissue on glass, larger than a tissue-microarray core."""
    image = np.full((15 * 96, 15 * 96, 3), 242.0)
    inside = np.tile(np.array(NORMAL_COLOUR, float), (13, 13, 1))
    inside.reshape(-1, 3)[: round(share * 169)] = TUMOUR_COLOUR
    image[96:-96, 96:-96] = np.kron(inside, np.ones((96, 96, 1)))
    image += np.random.default_rng(round(share * 100)).normal(0, 12, image.shape)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8))


def test_the_list_has_probability_interval_and_state(filled: Site, page: Page) -> None:
    page.goto(filled.url)
    groups = page.locator("tbody.group")
    expect(groups).to_have_count(len(SLIDES))
    # The most probable first.
    assert page.locator(".slide-name").all_inner_texts() == list(SLIDES)
    for name, (_, state) in SLIDES.items():
        cell = groups.filter(has=page.get_by_text(name, exact=True)).locator(".col-score")
        expect(cell.get_by_text(state, exact=True)).to_be_visible()
        assert " to " in cell.inner_text()
    for name, count in (("suspicious", 1), ("look-again", 1), ("clear", 0), ("all", 2)):
        page.locator(f"[data-filter={name}]").click()
        expect(groups).to_have_count(count)


def test_the_viewer_tells_why(filled: Site, page: Page) -> None:
    page.goto(filled.url)
    page.get_by_role("link", name="none.tiff").click()
    page.get_by_role("tab", name="Figures").click()
    panel = page.locator(".figures")
    expect(panel.get_by_text("Slide probability")).to_be_visible()
    expect(panel.get_by_text("Look again", exact=True)).to_be_visible()
    # The slide is below the limit, but this model of random weights takes glass for tumour.
    expect(panel.get_by_text("but there is the alarm tumour-on-glass")).to_be_visible()
    expect(panel.get_by_text("100 validation slides, 30 positive")).to_be_visible()
