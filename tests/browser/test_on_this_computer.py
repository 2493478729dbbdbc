"""A model that runs in the browser: the server's probabilities, with the network cut."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser_support import MODEL, Watch, accessibility_problems
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from service_process_support import Site

from wsi_pipeline.images import read_picture
from wsi_pipeline.images.placement import place
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.model.linear_probe import as_pixels
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.onnx_export import export_onnx
from wsi_pipeline.model.onnx_file import keep_onnx
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing.copies import copy_package

#: Largest difference of a probability from the server's in fp32.
ALLOWED = 1e-3
#: Scores such that at a coverage of 0.9 a class of 0.6 or more is in the set.
SCORES = np.linspace(0, 0.4, 9)


@pytest.fixture(scope="module")
def served_package(
    kinds_package: ModelPackage, tmp_path_factory: pytest.TempPathFactory
) -> ModelPackage:
    """A model of four classes with its ONNX file, and with what prediction sets need."""
    folder = tmp_path_factory.mktemp("packages") / "kinds"
    package = copy_package(kinds_package, folder, conformal=SCORES, images={"how": "pad"})
    made = folder.with_suffix(".onnx")
    keep_onnx(package, made, export_onnx(package, made).probe)
    return package


@pytest.fixture
def local(visit: tuple[Page, Watch], service: Site) -> Page:
    page, watch = visit
    page.goto(f"{service.url}/on-this-computer")
    expect(page.get_by_role("status").get_by_text("Ready, with WebAssembly")).to_be_visible()
    # Nothing that happens from here on may ask the server for anything.
    page.context.set_offline(True)
    watch.away = True
    return page


def server_answers(package: ModelPackage, files: list[Path]) -> NDArray[np.float32]:
    side = package.description.patch_px
    squares = [place(read_picture(path).pixels, side, ImageFit())[0] for path in files]
    answers: NDArray[np.float32] = (
        load_classifier(package)(as_pixels(np.stack(squares))).detach().numpy()
    )
    return answers


def browser_answers(page: Page, files: list[Path]) -> NDArray[np.float64]:
    page.locator("#local-files").set_input_files(files)
    done = page.locator(".local-row[data-probabilities]")
    expect(done).to_have_count(len(files), timeout=120_000)
    texts = done.evaluate_all("rows => rows.map((row) => row.dataset.probabilities)")
    return np.array([json.loads(text) for text in texts])


def drawn_images(folder: Path) -> list[Path]:
    """Of every format and shape: larger and smaller than the model's square, wide and high."""
    rng = np.random.default_rng(4)
    files = []
    shapes = [(64, 64), (40, 90), (120, 50), (31, 31), (200, 333)]
    for number, (height, width) in enumerate(shapes):
        coarse = rng.integers(60, 256, (4, 5, 3), np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        for suffix in (".png", ".bmp", ".jpg"):
            files.append(folder / f"{number}{suffix}")
            image.save(files[-1])
    return files


def test_the_answers_are_the_servers_without_the_server(
    local: Page, served_package: ModelPackage, tmp_path: Path
) -> None:
    files = drawn_images(tmp_path)
    found = browser_answers(local, files)
    np.testing.assert_allclose(found, server_answers(served_package, files), atol=ALLOWED)
    expect(local.get_by_role("status").get_by_text("15 of 15 images done")).to_be_visible()
    # The set: every class of 0.6 or more; none or several mean that a person has to look.
    likely = found.max(axis=1)
    expect(local.get_by_text("Look again: resembles no class well enough")).to_have_count(
        int((likely < 0.6).sum())
    )
    local.get_by_label("Sort by").select_option("doubt")
    order = local.locator(".local-row").evaluate_all(
        "rows => rows.map((row) => Math.max(...JSON.parse(row.dataset.probabilities)))"
    )
    assert order == sorted(order)
    with local.expect_download() as download:
        local.get_by_role("button", name="Save as CSV").click()
    table = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(table) == 1 + len(files)
    assert table[0].startswith("image,state,predicted,set,review,p_")


def test_two_hundred_real_images(local: Page, served_package: ModelPackage, data: Path) -> None:
    files = sorted((data / "blood" / "wbc").glob("*.bmp"))[:120]
    files += sorted((data / "patches" / "colorectal5").rglob("*.*"))[:80]
    assert len(files) == 200
    found = browser_answers(local, files)
    np.testing.assert_allclose(found, server_answers(served_package, files), atol=ALLOWED)


def test_what_is_no_image_is_told(local: Page, tmp_path: Path) -> None:
    text, huge = tmp_path / "cell.bmp", tmp_path / "huge.png"
    text.write_text("no px at all, whatever the name says\n" * 9)
    Image.new("1", (20_000, 20_000)).save(huge)
    cmyk = tmp_path / "press.jpg"
    Image.new("CMYK", (8, 8)).save(cmyk)
    moving = tmp_path / "moving.png"
    frames = [Image.new("L", (8, 8), grey) for grey in (0, 200)]
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    local.locator("#local-files").set_input_files([text, huge, cmyk, moving])
    rows = local.locator(".local-row")
    expect(rows.nth(0)).to_contain_text("is no PNG, JPEG, BMP or WebP image")
    expect(rows.nth(1)).to_contain_text("too many for a single image")
    expect(rows.nth(2)).to_contain_text("CMYK")
    expect(rows.nth(3)).to_contain_text("holds several pictures")


def test_the_page_is_for_everybody(visit: tuple[Page, Watch], service: Site) -> None:
    page, _ = visit
    page.get_by_role("link", name="On this computer").click()
    expect(page.get_by_role("heading", name="On this computer")).to_be_visible()
    expect(page.get_by_text("Ready, with WebAssembly")).to_be_visible()
    assert MODEL in page.get_by_label("Model").inner_text()
    expect(page.get_by_text("No px of your images is sent anywhere")).to_be_visible()
    assert accessibility_problems(page) == []
