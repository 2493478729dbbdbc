"""A real server with a real worker, and a real browser."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser_support import Watch, chromium, site, visitor
from playwright.sync_api import Browser, Page
from service_process_support import Site

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid


@pytest.hookimpl(tryfirst=True)  # before they are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def served_package(package: ModelPackage) -> ModelPackage:
    """The model of the service; a module may have another."""
    return package


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, served_package: ModelPackage, model_cache: Path
) -> Iterator[Site]:
    """``wsi serve`` for one module of tests."""
    with site(tmp_path_factory.mktemp("site"), served_package.folder, model_cache) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, service: Site) -> Iterator[tuple[Page, Watch]]:
    """A page of somebody who signed in; the browser may complain of nothing until the end."""
    with visitor(browser, service) as visiting:
        yield visiting


@pytest.fixture
def page(visit: tuple[Page, Watch]) -> Page:
    return visit[0]


@pytest.fixture(scope="session")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small slides: tumour in the left part of two, none in the third."""
    folder = tmp_path_factory.mktemp("slides")
    for name, share in (("clear.tiff", 0.0), ("some.tiff", 0.2), ("much.tiff", 0.6)):
        write_slide(folder / name, share)
    return folder


def write_slide(path: Path, share: float, *, width: int = 900, height: int = 600) -> None:
    """Tissue on glass, a share of which is tumour."""
    image = np.full((height, width, 3), 242, np.float64)
    image[60 : height - 60, 60 : width - 60] = NORMAL_COLOUR
    image[60 : height - 60, 60 : 60 + round((width - 120) * share)] = TUMOUR_COLOUR
    # The texture the model was made for, which JPEG would smooth away.
    image += np.random.default_rng(round(share * 100)).normal(0, 12, image.shape)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8))
