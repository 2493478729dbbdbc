"""How smoothly the page of single images scrolls, and how quickly a key labels.

``python -m benchmarks.image_grid`` starts ``wsi serve`` with one worker, has the demo model
classify 500 drawn images, and opens the page in headless Chromium without a GPU. The thumbnails
are loaded while the page is scrolled with the wheel, from top to bottom.

``build/image_grid.json`` keeps:

* ``images``, and ``tiles_most``: how many of them were on the page at once;
* ``scrolling``: ``fps_median`` and ``fps_p5`` of the frames' distances, and ``frames``;
* ``long_tasks_ms``: what kept the page from answering for more than 50 ms while it scrolled;
* ``label_ms``: from the press of a key until the label is drawn, median of 20.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from benchmarks.formula_results import Running, serving
from benchmarks.viewer import FRAMES, FRAMES_END, chromium, frame_rates, visit
from wsi_pipeline.synth import PatchKind, render_patches

_IMAGES = 500
_PATCHES = 20
_KINDS: tuple[PatchKind, ...] = ("tumour", "normal")
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
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), workers=1) as service:
        job = classify(service, _IMAGES)
        with chromium() as browser, visit(browser, service) as page:
            page.goto(f"{service.url}/images?job={job}")
            page.wait_for_selector(".image-tile img")
            page.wait_for_timeout(1000)
            figures = {"images": _IMAGES, **scroll(page), "label_ms": label(page)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


def classify(service: Running, count: int) -> str:
    """Id of a job of so many drawn images, which all have their answer."""
    drawn = {kind: render_patches(kind, _PATCHES, seed=seed) for seed, kind in enumerate(_KINDS)}
    # Half of one kind and half of the other is in doubt.
    half = drawn["tumour"].shape[2] // 2
    mixed = drawn["tumour"].copy()
    mixed[:, :, half:] = drawn["normal"][:, :, half:]
    patches = np.concatenate([*drawn.values(), mixed[: _PATCHES // 4]])
    with service.client() as client:
        ids = []
        for number in range(count):
            pixels = np.roll(patches[number % len(patches)], number, axis=0)
            written = io.BytesIO()
            Image.fromarray(pixels).save(written, "PNG", compress_level=1)
            params = {"name": f"biopsy 12/{number:03}.png"}
            answer = client.put("/v1/images", params=params, content=written.getvalue())
            ids.append(answer.raise_for_status().json()["id"])
        order = {"name": "biopsy 12", "model": "demo", "image_ids": ids}
        job = client.post("/v1/images/jobs", json=order).raise_for_status().json()
        while job["state"] == "running":
            time.sleep(0.5)
            job = client.get(f"/v1/images/jobs/{job['id']}").raise_for_status().json()
    if job["answered"] != count:
        raise SystemExit(f"not every image has an answer: {job}")
    return str(job["id"])


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
    times = []
    for _ in range(_LABELS):
        times.append(page.evaluate(_LABEL, "1"))
        page.keyboard.press("ArrowLeft")
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
