"""Slides with planted squares, analysed by the real service for tests of the viewer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

#: Side of a cell in level-0 px: the patch of the tests' model, analysed at its own resolution.
CELL_PX = 96
_PATIENCE_SECONDS = 280


@dataclass(frozen=True)
class Square:
    """Cells that are tumour: column and row of the first, and how many along a side."""

    column: int
    row: int
    side: int

    @property
    def centre(self) -> tuple[float, float]:
        """In level-0 px."""
        half = self.side / 2
        return (self.column + half) * CELL_PX, (self.row + half) * CELL_PX

    @property
    def cells(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return (
            slice(self.row, self.row + self.side),
            slice(self.column, self.column + self.side),
        )


def plant(path: Path, size: tuple[int, int], squares: tuple[Square, ...], seed: int = 1) -> None:
    """Write a slide of tissue with squares of tumour whose edges are edges of cells.

    The texture is the same in red, green and blue: the difference of red and blue tells both
    kinds apart in every px.

    Args:
        path: The file.
        size: Width and height in level-0 px; need not be whole cells.
        squares: The tumour.
        seed: Of the texture.
    """
    width, height = size
    image = np.empty((height, width, 3), np.float64)
    image[:] = NORMAL_COLOUR
    for square in squares:
        rows, columns = square.cells
        image[
            rows.start * CELL_PX : rows.stop * CELL_PX,
            columns.start * CELL_PX : columns.stop * CELL_PX,
        ] = TUMOUR_COLOUR
    image += np.random.default_rng(seed).normal(0, 12, (height, width, 1))
    write_pyramid(path, image.clip(0, 255).astype(np.uint8), downsamples=(1, 2, 4, 8))


class Api:
    """Asks a service as a program does."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        """The JSON at an address."""
        return self._client.get(path).raise_for_status().json()

    def upload(self, path: Path) -> str:
        """Id of a slide, once it is checked."""
        with path.open("rb") as file:
            answer = self._client.put("/v1/slides", params={"name": path.name}, content=file)
        slide_id: str = answer.raise_for_status().json()["id"]
        told = self._wait(f"/v1/slides/{slide_id}", "checking")
        assert told["state"] == "ready", told["problem"]
        return slide_id

    def analyse(self, slide_id: str, **settings: Any) -> str:
        """Id of a job with the first installed model, once it succeeded."""
        model = self.get("/v1/models")["models"][0]["name"]
        # One precision only: to try others takes longer than the slide.
        order = {"slide_id": slide_id, "model": model, "precision": "fp32", **settings}
        answer = self._client.post("/v1/jobs", json=order)
        job_id: str = answer.raise_for_status().json()["id"]
        told = self._wait(f"/v1/jobs/{job_id}", "queued", "running")
        assert told["state"] == "succeeded", told["problem"]
        return job_id

    def result(self, job_id: str, folder: Path) -> Result:
        """Fetch the result of a job into a folder."""
        store = self._client.get(f"/v1/jobs/{job_id}/mask.zarr.zip", timeout=60).raise_for_status()
        path = folder / "mask.zarr.zip"
        path.write_bytes(store.content)
        return Result(path)

    def tumour(self, job_id: str) -> NDArray[np.bool_]:
        """Cells at and above the result's threshold, ``(rows, columns)``."""
        told = self.get(f"/v1/jobs/{job_id}/heatmap")
        level = told["levels"][0]
        assert level["cell_px"] == CELL_PX
        rows, columns = level["rows"], level["columns"]
        tile = self._client.get(f"/v1/jobs/{job_id}/heatmap/0/0_0").raise_for_status().content
        steps = np.frombuffer(tile, "<u2", rows * columns).reshape(rows, columns)
        known = steps != told["not_classified"]
        found: NDArray[np.bool_] = known & (steps >= told["threshold_step"])
        return found

    def _wait(self, path: str, *states: str) -> Any:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (told := self.get(path))["state"] in states:
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
        return told


@contextmanager
def api(url: str, token: str) -> Iterator[Api]:
    """Of a service at an address."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        yield Api(client)


def settle(page: Page) -> None:
    """Wait until nothing moves and everything that belongs to the view is drawn in every pane."""
    for threshold in page.locator(".layer .slider:has([data-slider=threshold]) output").all():
        expect(threshold).not_to_have_text("…")
    # What was asked for is begun, and what changed is on the screen, with the frame after the next.
    two_frames = "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
    page.evaluate(two_frames)
    panes = page.locator(".viewer-slide")
    expect(panes.first).to_have_attribute("data-settled", "true")
    for index in range(panes.count()):
        expect(panes.nth(index)).to_have_attribute("data-settled", "true")
    page.evaluate(two_frames)
