"""How smoothly the page of single images scrolls, and how quickly a key labels.

``python -m benchmarks.image_grid`` starts ``wsi serve`` with one worker, has a small model of drawn
tissue classify 500 drawn images, and opens the page in headless Chromium without a GPU. The
thumbnails are loaded while the page is scrolled with the wheel, from top to bottom.

``build/image_grid.json`` keeps:

* ``images``, and ``tiles_most``: how many of them were on the page at once;
* ``scrolling``: ``fps_median`` and ``fps_p5`` of the frames' distances, and ``frames``;
* ``long_tasks_ms``: what kept the page from answering for more than 50 ms while it scrolled;
* ``label_ms``: from the press of a key until the label is drawn, median of 20.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from benchmarks.formula_results import Running, serving
from benchmarks.viewer import FRAMES, FRAMES_END, chromium, frame_rates, visit
from wsi_pipeline.synth import labelled_patches
from wsi_pipeline.testing.copies import copy_package
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX, make_kinds_package

_IMAGES = 500
_MODEL = "drawn-tissue"
#: Patches of each class, from a slide of so many level-0 px, and their resolution, µm per px.
_PATCHES, _SLIDE_PX, _MPP = 8, 4096, 0.25
#: Scores such that at a coverage of 0.9 a class of 0.6 or more is in the set.
_SCORES = np.linspace(0, 0.4, 9)
_STEPS, _STEP_PX = 160, 120
_LABELS = 20
_LONG_TASKS = """() => {
  window.longTasks = [];
  window.mostTiles = 0;
  const note = (list) => window.longTasks.push(...list.getEntries().map((one) => one.duration));
  new PerformanceObserver(note).observe({type: "longtask"});
  const count = () => document.querySelectorAll(".image-tile").length;
  const grid = document.querySelector(".image-grid");
  const most = () => { window.mostTiles = Math.max(window.mostTiles, count()); };
  new MutationObserver(most).observe(grid, {childList: true});
}"""
#: ms from the press of a key until the frame after the label was drawn.
_LABEL = """(key) => new Promise((resolve) => {
  const tile = document.activeElement;
  const begun = performance.now();
  const look = () => {
    if (tile.querySelector(".badge.accent")?.textContent) {
      requestAnimationFrame(() => resolve(performance.now() - begun));
    } else requestAnimationFrame(look);
  };
  tile.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  look();
})"""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/image_grid.json"))
    arguments = parser.parse_args()
    with (
        classified(_IMAGES) as (service, job),
        chromium() as browser,
        visit(browser, service) as page,
    ):
        page.goto(f"{service.url}/images?job={job}")
        page.locator("[data-filter=all]").get_by_text(str(_IMAGES)).wait_for()
        page.wait_for_timeout(1000)
        figures = {"images": _IMAGES, **scroll(page), "label_ms": label(page)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


@contextlib.contextmanager
def classified(count: int) -> Iterator[tuple[Running, str]]:
    """A service, and its job of so many drawn images, which all have their answer."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = make_kinds_package(folder / "made")
        (folder / "models").mkdir()
        fit = {"how": "pad"}
        copy_package(made, folder / "models" / _MODEL, conformal=_SCORES, images=fit)
        models = folder / "models"
        with serving(folder / "data", workers=1, demo=False, models=models) as service:
            yield service, _classify(service, count)


def _classify(service: Running, count: int) -> str:
    drawn = _drawn()
    with service.client() as client:
        ids = []
        for number in range(count):
            pixels = np.roll(drawn[number % len(drawn)], 5 * number, axis=0)
            written = io.BytesIO()
            Image.fromarray(pixels).save(written, "PNG", compress_level=1)
            params = {"name": f"biopsy 12/{number:03}.png"}
            answer = client.put("/v1/images", params=params, content=written.getvalue())
            ids.append(answer.raise_for_status().json()["id"])
        order = {"name": "biopsy 12", "model": _MODEL, "image_ids": ids}
        job = client.post("/v1/images/jobs", json=order).raise_for_status().json()
        while job["state"] == "running":
            time.sleep(0.5)
            job = client.get(f"/v1/images/jobs/{job['id']}").raise_for_status().json()
    if job["answered"] != count:
        raise SystemExit(f"not every image has an answer: {job}")
    return str(job["id"])


def _drawn() -> NDArray[np.uint8]:
    """Images of every class, and some that are half of one class and half of another.

    They show as much tissue as the model's patches, with more px.
    """
    side = round(KINDS_PATCH_PX * KINDS_MPP / _MPP)
    patches, _ = labelled_patches(_PATCHES, seed=3, patch_px=side, mpp=_MPP, slide_px=_SLIDE_PX)
    mixed = patches[::4].copy()
    mixed[:, :, side // 2 :] = np.roll(patches, _PATCHES, axis=0)[::4, :, side // 2 :]
    together: NDArray[np.uint8] = np.concatenate([patches, mixed])
    return together


def scroll(page: Page) -> dict[str, Any]:
    """Turn the wheel until the end."""
    page.mouse.move(640, 500)
    page.evaluate(_LONG_TASKS)
    page.evaluate(FRAMES)
    for _ in range(_STEPS):
        page.mouse.wheel(0, _STEP_PX)
        page.wait_for_timeout(16)
    frames = page.evaluate(FRAMES_END)
    return {
        "tiles_most": page.evaluate("() => window.mostTiles"),
        "scrolling": frame_rates(frames),
        "long_tasks_ms": page.evaluate("() => window.longTasks"),
    }


def label(page: Page) -> float:
    """Label one image after another."""
    page.locator(".image-tile").last.focus()
    times: list[float] = []
    for _ in range(_LABELS):
        times.append(page.evaluate(_LABEL, "1"))
        page.keyboard.press("ArrowLeft")
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
