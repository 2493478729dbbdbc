"""What the viewer takes in a browser: first heatmap, frames while dragging, memory.

``python -m benchmarks.viewer`` starts ``wsi serve`` without workers, uploads a synthetic slide of
62,000 × 54,000 px, gives it a result of stride 128 whose probabilities come from a formula (see
:mod:`benchmarks.formula_results`; more than 190,000 cells), and opens it in headless Chromium
without a GPU. The first run draws the slide, which takes minutes.

``build/viewer.json`` keeps:

* ``cells``: of the result's grid;
* ``first_heatmap_ms``: from the start of the navigation until the first frame with cells is drawn,
  of ``cold`` (a browser that has nothing in its cache) and ``warm`` openings, each a list;
* ``dragging``: over some seconds of pulling the threshold slider to and fro: ``fps_median`` and
  ``fps_p5`` of the frames' distances, and ``frames``;
* ``memory_mb``: size of the JavaScript heap after garbage collection and the resident memory of
  the page's process, each ``after_50`` and ``after_200`` pans and zooms, and ``after_leaving`` for
  the worklist.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.formula_results import Running, finish, serving, upload
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-precise-memory-info",
)
_OPENINGS = 5
_DRAG_STEPS = 240
_MOVES = 200

#: Distances of frames while a function runs, ms.
FRAMES = """() => {
  window.framesOf = [];
  let last = performance.now();
  const next = (now) => {
    window.framesOf.push(now - last);
    last = now;
    window.frameOf = requestAnimationFrame(next);
  };
  window.frameOf = requestAnimationFrame(next);
}"""
FRAMES_END = "() => { cancelAnimationFrame(window.frameOf); return window.framesOf.slice(2); }"
_FIRST = """() => new Promise((resolve) => {
  const look = () => {
    const [mark] = performance.getEntriesByName('first-heatmap');
    if (mark) resolve(mark.startTime); else setTimeout(look, 5);
  };
  look();
})"""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/viewer.json"))
    parser.add_argument("--size", default="62000x54000")
    parser.add_argument("--stride", type=int, default=128)
    arguments = parser.parse_args()
    slides = arguments.out.parent / "memory"
    slides.mkdir(parents=True, exist_ok=True)
    slide = slides / f"{arguments.size}.tiff"
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=5), slide)
    package = find_or_build("demo", Settings())
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), workers=0) as service:
        slide_id = upload(service, slide)
        job_id = finish(
            service, slide_id, slide, package, slides / "formula", stride=arguments.stride
        )
        with service.client() as client:
            level = client.get(f"/v1/jobs/{job_id}/heatmap").json()["levels"][0]
        with chromium() as browser:
            figures = {
                "cells": level["columns"] * level["rows"],
                **measure(browser, service, slide_id),
            }
    arguments.out.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine, or Playwright's own."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def measure(browser: Browser, service: Running, slide_id: str) -> dict[str, Any]:
    """All figures of one slide."""
    address = f"{service.url}/slides/{slide_id}"
    openings: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(_OPENINGS):
        with visit(browser, service) as page:
            for times in openings.values():
                page.goto(address)
                times.append(round(page.evaluate(_FIRST), 1))
    with visit(browser, service) as page:
        page.goto(address)
        page.wait_for_selector('.viewer-slide[data-settled="true"]', timeout=60_000)
        dragging = drag(page)
        memory = wander(page, browser)
    return {"first_heatmap_ms": openings, "dragging": dragging, "memory_mb": memory}


@contextlib.contextmanager
def visit(browser: Browser, service: Running) -> Iterator[Page]:
    """A signed-in page with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    try:
        context.request.post(f"{service.url}/v1/session", data={"key": service.token})
        yield context.new_page()
    finally:
        context.close()


def drag(page: Page) -> dict[str, float]:
    """Pull the threshold to and fro."""
    slider = page.locator('[data-slider="threshold"]')
    box = slider.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    for step in range(_DRAG_STEPS):
        share = abs((step / 40) % 2 - 1)
        page.mouse.move(box["x"] + 10 + share * (box["width"] - 20), y)
    frames = page.evaluate(FRAMES_END)
    page.mouse.up()
    return frame_rates(frames)


def frame_rates(frames: list[float]) -> dict[str, float]:
    """Frames per second, of the distances of frames in ms."""
    ranked = sorted(frames)
    return {
        "fps_median": round(1000 / statistics.median(frames), 1),
        "fps_p5": round(1000 / ranked[min(len(ranked) - 1, len(ranked) * 95 // 100)], 1),
        "frames": len(frames),
    }


def wander(page: Page, browser: Browser) -> dict[str, dict[str, float]]:
    """Move and zoom about, and see what memory is taken."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.enable")
    renderer = _renderer(browser)
    figures = {}
    page.locator(".viewer-stage").focus()
    keys = ("+", "ArrowRight", "ArrowDown", "+", "ArrowLeft", "-", "ArrowUp", "-")
    for move in range(1, _MOVES + 1):
        page.keyboard.press(keys[move % len(keys)])
        page.wait_for_timeout(60)
        if move % 25 == 0:
            page.keyboard.press("0")
        if move in (50, _MOVES):
            page.wait_for_timeout(2000)
            figures[f"after_{move}"] = _memory(devtools, renderer)
    page.locator(".shell-name").click()
    page.wait_for_timeout(2000)
    figures["after_leaving"] = _memory(devtools, renderer)
    return figures


def _memory(devtools: CDPSession, renderer: psutil.Process) -> dict[str, float]:
    devtools.send("HeapProfiler.collectGarbage")
    heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
    return {
        "heap": round(heap / 1e6, 1),
        "resident": round(renderer.memory_info().rss / 1e6, 1),
    }


def _renderer(browser: Browser) -> psutil.Process:
    """The process of the page: of the browser's renderers the largest."""
    devtools = browser.new_browser_cdp_session()
    told = devtools.send("SystemInfo.getProcessInfo")["processInfo"]
    devtools.detach()
    found = [psutil.Process(one["id"]) for one in told if one["type"] == "renderer"]
    return max(found, key=lambda process: process.memory_info().rss)


if __name__ == "__main__":
    main()
