"""Gaps are straight strips without a picture; clefts, glass and padding are not."""

import numpy as np
import pytest
from quality_support import TISSUE, tissue, view_of

from wsi_pipeline.quality.gaps import find_gaps


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("upright", [False, True])
def test_a_strip_is_found(value: int, *, upright: bool) -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rgb[140:152] = value
    found = find_gaps(view_of(rgb.transpose(1, 0, 2) if upright else rgb))
    found = found.T if upright else found
    assert found[142:150].mean() > 0.95
    assert found[:135].sum() + found[158:].sum() == 0


def test_a_strip_that_compression_broke_is_found() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rgb[140:152] = 255
    rng = np.random.default_rng(3)
    rgb[140:152][rng.random((12, 300)) < 0.15] = 244
    assert find_gaps(view_of(rgb))[142:150].mean() > 0.95


def test_what_was_not_scanned_is_a_gap() -> None:
    scanned = np.ones((300, 300), np.bool_)
    scanned[:, 100:110] = False
    assert find_gaps(view_of(tissue(TISSUE["collagen"]), scanned))[:, 102:108].all()


def test_padding_a_slanted_cleft_and_white_glass_are_none() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rows, columns = np.indices((300, 300))
    rgb[np.abs(rows - columns) < 6] = 255
    rgb[:, 260:] = 0
    assert not find_gaps(view_of(rgb)).any()
    bright = tissue(TISSUE["lymphocytes"])
    bright[bright.min(axis=-1) > 230] = 254  # glass itself is as white as a gap
    bright[140:150] = 255
    assert not find_gaps(view_of(bright)).any()
