"""Small slides, and rows of cohorts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.testing import write_pyramid

MakeSlide = Callable[..., Path]


@pytest.fixture
def make_slide(tmp_path: Path) -> MakeSlide:
    """Writes a slide of 400 × 300 px; each has other px, unless a seed is given twice."""
    made = [0]

    def make(name: str, *, seed: int | None = None, mpp: float = 0.25, **options: int) -> Path:
        made[0] += 1
        rng = np.random.default_rng(made[0] if seed is None else 1000 + seed)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 255, (300, 400, 3), np.uint8)
        write_pyramid(path, image, mpp=mpp, tile=64, downsamples=(1, 2))
        return path

    return make
