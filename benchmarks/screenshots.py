"""The pictures of the pages in the documentation: ``worklist.png``, ``viewer.png``, ``images.png``.

``python -m benchmarks.screenshots`` starts ``wsi serve`` with one worker, uploads synthetic slides,
lets the demo model analyse them, and photographs the worklist and the viewer in headless Chromium
for ``docs/images``; then the page of images, with drawn ones. Everything on the pictures is real,
apart from the tissue.
"""

import argparse
import io
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.formula_results import Running, serving, upload
from benchmarks.image_grid import classified
from benchmarks.viewer import chromium
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth import SynthSpec, write_slide

#: CSS px, and px of the pictures: pages show them at about half of that.
_LIST, _VIEWER, _IMAGES = Size(1440, 560), Size(1440, 900), Size(1120, 490)
#: Drawn images that are classified.
_COUNT = 60
#: Of a picture in the repository, so that pages that show several load quickly.
_MOST_BYTES = 300_000
#: Seed, share of tumour and size of each slide; the first one is shown in the viewer.
_SLIDES = (
    ("lymph_node_a.tiff", 23, 0.12, Size(20_000, 18_000)),
    ("lymph_node_b.tiff", 31, 0.05, Size(12_000, 10_000)),
    ("lymph_node_c.tiff", 8, 0.0, Size(12_000, 9_000)),
    ("lymph_node_d.tiff", 12, 0.2, Size(10_000, 9_000)),
)


def main() -> None:
    """Draw, analyse, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--slides", type=Path, default=Path("build/screenshots"))
    arguments = parser.parse_args()
    arguments.slides.mkdir(parents=True, exist_ok=True)
    for name, seed, tumour, size in _SLIDES:
        path = arguments.slides / name
        if not path.exists():
            write_slide(SynthSpec(size, seed=seed, tumour=tumour), path)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), workers=1) as service:
        slides = [upload(service, arguments.slides / name) for name, *_ in _SLIDES]
        with service.client() as client:
            jobs = [_queue(client, slide) for slide in slides]
            # The last one is still under way on the picture, as on a working day.
            for job in jobs[:-1]:
                _wait(client, job)
        with chromium() as browser:
            _photograph(browser, service, "/", _LIST, arguments.out / "worklist.png", _look_at_list)
            view = f"/slides/{slides[0]}?layer={jobs[0]}"
            _photograph(
                browser, service, view, _VIEWER, arguments.out / "viewer.png", _look_at_slide
            )
    with classified(_COUNT) as (service, job), chromium() as browser:
        out = arguments.out / "images.png"
        _photograph(browser, service, f"/images?job={job}", _IMAGES, out, _look_at_images)


def _queue(client: httpx.Client, slide_id: str) -> str:
    order = {"slide_id": slide_id, "model": "demo"}
    job_id: str = client.post("/v1/jobs", json=order).raise_for_status().json()["id"]
    return job_id


def _wait(client: httpx.Client, job_id: str) -> None:
    while (job := client.get(f"/v1/jobs/{job_id}").json())["state"] in ("queued", "running"):
        time.sleep(0.5)
    if job["state"] != "succeeded":
        raise SystemExit(f"a job is {job['state']}: {job['problem']}")


def _photograph(
    browser: Browser,
    service: Running,
    path: str,
    window: Size,
    out: Path,
    look: Callable[[Page], None],
) -> None:
    context = browser.new_context(viewport={"width": window.width, "height": window.height})
    try:
        context.request.post(f"{service.url}/v1/session", data={"key": service.token})
        page = context.new_page()
        page.goto(f"{service.url}{path}")
        look(page)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(compressed(Image.open(io.BytesIO(page.screenshot()))))
    finally:
        context.close()


def compressed(picture: Image.Image) -> bytes:
    """A picture as PNG of at most :data:`_MOST_BYTES`, in as many colours as that allows.

    256 are nearly the original: pages have few colours, and slides are shown small.

    Raises:
        ValueError: not even with 32 colours.
    """
    for colours in (256, 192, 128, 96, 64, 32):
        reduced = picture.convert("RGB").quantize(colours, Image.Quantize.MEDIANCUT, kmeans=2)
        written = io.BytesIO()
        reduced.save(written, "PNG", optimize=True)
        if written.tell() <= _MOST_BYTES:
            return written.getvalue()
    raise ValueError(f"a picture of {picture.size} px does not fit into {_MOST_BYTES:,} bytes")


def _look_at_list(page: Page) -> None:
    finished = len(_SLIDES) - 1
    expect(page.locator(".thumb-heat")).to_have_count(finished, timeout=60_000)
    page.get_by_text(re.compile(r"^[1-9]\d* of \d+ tiles")).wait_for(timeout=60_000)
    page.wait_for_timeout(1000)


def _look_at_images(page: Page) -> None:
    page.locator(".image-tile").first.wait_for()
    page.wait_for_timeout(1500)
    # Some labels, by keys.
    page.locator(".image-tile").first.focus()
    for key in ("2", "ArrowRight", "1", "ArrowRight", "ArrowRight", "2"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)


def _look_at_slide(page: Page) -> None:
    page.wait_for_selector('.viewer-slide[data-settled="true"]', timeout=60_000)
    page.wait_for_timeout(1500)
    page.mouse.move(520, 420)
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
