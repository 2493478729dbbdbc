from pathlib import Path

import numpy as np
import openslide
import pytest

from wsi_pipeline.lymph_node.demonstration import held_out, lay
from wsi_pipeline.lymph_node.folds import TEST_FOLD, folds_of
from wsi_pipeline.lymph_node.network import MPP, SEEN_PX
from wsi_pipeline.lymph_node.patches import RealPatches


def patches(count: int) -> RealPatches:
    pixels = np.random.default_rng(2).integers(0, 256, (count, SEEN_PX, SEEN_PX, 3), np.uint8)
    names = tuple(f"group-{index}" for index in range(count))
    return RealPatches("pcam", pixels, np.arange(count) % 2 == 0, names)


def test_only_patches_of_the_test_fold_are_shown() -> None:
    some = patches(200)
    shown = held_out(some)
    expected = [
        name for name, fold in zip(some.group, folds_of(some), strict=True) if fold == TEST_FOLD
    ]
    assert list(shown.group) == expected
    assert 0 < len(shown) < 60


def test_patches_lie_side_by_side_as_they_are(tmp_path: Path) -> None:
    some = patches(5)
    path = lay(some, tmp_path / "slides" / "real.tiff")
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == (3 * SEEN_PX, 2 * SEEN_PX)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(MPP, rel=1e-3)
        for index, patch in enumerate(some.pixels):
            corner = (index % 3 * SEEN_PX, index // 3 * SEEN_PX)
            found = np.asarray(slide.read_region(corner, 0, (SEEN_PX, SEEN_PX)).convert("RGB"))
            assert np.array_equal(found, patch)
