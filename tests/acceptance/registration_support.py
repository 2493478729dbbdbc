"""Compares, px by px, what lies over a slide with the planted squares below it."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page
from results_support import settle
from scipy import ndimage

from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

Mask = NDArray[np.bool_]

#: What else is over the slide.
_HIDDEN = ".viewer-tools, .viewer-overview, .scale-bar, .viewer-cross"
#: Neighbours at a distance of one px.
_CROSS = ndimage.generate_binary_structure(2, 1)
#: Red less blue, in the middle of both kinds of tissue; the texture changes all colours alike.
_BETWEEN = (TUMOUR_COLOUR[0] - TUMOUR_COLOUR[2] + NORMAL_COLOUR[0] - NORMAL_COLOUR[2]) / 2


def photograph(page: Page) -> NDArray[np.int16]:
    """The slide and what is drawn over it, ``(height, width, 3)``, once everything is there."""
    settle(page)
    page.evaluate(
        "(hidden) => document.querySelectorAll(hidden).forEach((e) => e.style.display = 'none')",
        _HIDDEN,
    )
    taken = page.locator(".viewer-slide").screenshot()
    return np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"), np.int16)


def planted(bare: NDArray[np.int16]) -> Mask:
    """The px of the planted squares in a photograph without anything over them."""
    return np.asarray(bare[..., 0] - bare[..., 2] > _BETWEEN)


def compare(slide: Mask, overlay: Mask, *, magnified: bool) -> None:
    """Both sets of px agree to within a screen px.

    Where the slide's own px are larger than the screen's, the browser's smoothing rounds the
    corners of its squares, and only there the overlay may stand out.
    """
    beyond = overlay & ~ndimage.binary_dilation(slide, _CROSS)
    missing = slide & ~ndimage.binary_dilation(overlay, _CROSS)
    if magnified:
        # Half of what surrounds a px at an edge is overlay, a quarter of it at a corner.
        beyond &= ndimage.uniform_filter(overlay.astype(float), 9) > 0.42
    assert not beyond.any(), f"{beyond.sum()} px of the overlay lie beyond the squares"
    assert not missing.any(), f"{missing.sum()} px of the squares are not covered"
