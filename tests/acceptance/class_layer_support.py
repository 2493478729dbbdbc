"""The layer of the most likely class in the viewer, compared with the mask px by px."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page
from results_support import settle
from scipy import ndimage

from wsi_pipeline.classes import NOT_ANALYSED

_HIDDEN = ".viewer-tools, .viewer-overview, .scale-bar, .viewer-cross"


def open_alone(page: Page, address: str, ready: str) -> NDArray[np.uint8]:
    """The slide's pane without what lies over it, ``(height, width, 3)``.

    Args:
        page: The browser's.
        address: Of the viewer, with place and layer.
        ready: Selector of what is there when the result is loaded.
    """
    page.goto(address)
    page.wait_for_selector(ready)
    settle(page)
    page.evaluate(
        "(hidden) => document.querySelectorAll(hidden).forEach((e) => e.style.display = 'none')",
        _HIDDEN,
    )
    return photograph(page)


def photograph(page: Page) -> NDArray[np.uint8]:
    """The slide's pane as it is, ``(height, width, 3)``."""
    taken = page.locator(".viewer-slide").screenshot()
    return np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"))


def mask_on_screen(
    mask: NDArray[np.uint8],
    pane: tuple[int, ...],
    centre: tuple[float, float],
    zoom: float,
    downsample: float = 1.0,
) -> NDArray[np.uint8]:
    """The mask's value under each screen px, not analysed beside the slide.

    Args:
        mask: Rows and columns.
        pane: Height and width of the pane in screen px.
        centre: x and y of its middle in level-0 px.
        zoom: Screen px per level-0 px.
        downsample: Level-0 px per px of the mask.
    """
    places = []
    for side, middle, length in zip(pane, reversed(centre), mask.shape, strict=True):
        at = (middle + (np.arange(side) + 0.5 - side / 2) / zoom) / downsample
        whole = np.floor(at).astype(np.int64)
        places.append((whole.clip(0, length - 1), (whole >= 0) & (whole < length)))
    (rows, inside_y), (columns, inside_x) = places
    inside = np.outer(inside_y, inside_x)
    return np.where(inside, mask[np.ix_(rows, columns)], NOT_ANALYSED).astype(np.uint8)


def check_colours(
    shown: NDArray[np.uint8],
    expected: NDArray[np.uint8],
    classes: Sequence[str],
    colours: Mapping[str, str],
) -> list[int]:
    """Check that each class's colour is drawn where the mask says, to a screen px.

    Returns:
        How many screen px of each class there are.
    """
    # A screen px along each axis, since each is rounded by itself.
    near, counts = np.ones((3, 3), bool), []
    for label, name in enumerate(classes):
        drawn = (shown == list(bytes.fromhex(colours[name][1:]))).all(axis=-1)
        wanted = expected == label
        assert not (drawn & ~ndimage.binary_dilation(wanted, near)).any(), name
        assert not (wanted & ~ndimage.binary_dilation(drawn, near)).any(), name
        counts.append(int(np.count_nonzero(wanted)))
    return counts
