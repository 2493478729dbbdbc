"""Drawn tissue for detectors: real colours, no synthetic slide to wait for."""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.quality.view import CoarseView

#: Mean colours of coarse px: lymphocytes, collagen, dense nuclei, erythrocytes, melanin, DAB.
TISSUE = {
    "lymphocytes": (150, 115, 178),
    "collagen": (232, 170, 200),
    "dense nuclei": (84, 56, 124),
    "erythrocytes": (190, 62, 78),
    "melanin": (92, 66, 44),
    "diaminobenzidine": (142, 98, 62),
}
UM = 4.0


def view_of(rgb: NDArray[np.uint8], scanned: NDArray[np.bool_] | None = None) -> CoarseView:
    """A coarse picture of 4 µm/px."""
    seen = np.ones(rgb.shape[:2], np.bool_) if scanned is None else scanned
    return CoarseView(rgb, seen, (UM, UM), PerAxis(16, 16))


def tissue(
    colour: tuple[int, int, int], shape: tuple[int, int] = (300, 300), *, seed: int = 0
) -> NDArray[np.uint8]:
    """Tissue with its texture, on glass 30 px wide all around."""
    rng = np.random.default_rng(seed)
    out = np.full((*shape, 3), 241.0)
    inner = out[30:-30, 30:-30]
    inner[...] = colour
    # Stain varies in amount, and hardly in hue.
    density = -np.log10(inner / 241) * rng.normal(1, 0.12, (*inner.shape[:2], 1)).clip(0.3, 1.6)
    inner[...] = 241 * 10**-density
    return out.clip(0, 255).astype(np.uint8)


def through(rgb: NDArray[np.uint8], light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The picture under something that lets this share of the light through."""
    return np.asarray((rgb * light).clip(0, 255).astype(np.uint8))
