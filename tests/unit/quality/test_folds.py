"""Folds are bands of twice the density and the same hue; nuclei beside stroma are not."""

import numpy as np
from quality_support import TISSUE, through, tissue, view_of

from wsi_pipeline.quality.folds import find_folds

NO_INK = np.zeros((300, 300), np.bool_)


def test_a_doubled_band_is_found() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    twice = rgb.copy()
    twice[60:240, 140:165] = through(rgb[60:240, 110:135], rgb[60:240, 140:165] / 241)
    found = find_folds(view_of(twice), NO_INK)
    assert found[70:230, 143:162].mean() > 0.9
    assert found[:, :130].sum() + found[:, 175:].sum() == 0


def test_a_fold_is_followed_to_the_edge_of_the_tissue() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    twice = rgb.copy()
    twice[60:240, 140:165] = through(rgb[60:240, 110:135], rgb[60:240, 140:165] / 241)
    twice[150:240, 165:] = 240  # glass beside the lower half
    found = find_folds(view_of(twice), NO_INK)
    assert found[70:230, 143:160].mean() > 0.9


def test_a_band_of_nuclei_in_stroma_is_no_fold() -> None:
    rgb = tissue(TISSUE["collagen"])
    rgb[60:240, 140:165] = tissue(TISSUE["dense nuclei"])[60:240, 140:165]
    assert not find_folds(view_of(rgb), NO_INK).any()


def test_a_dark_half_is_no_fold() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rgb[30:-30, 150:-30] = through(rgb[30:-30, 150:-30], rgb[30:-30, 150:-30] / 241)
    assert find_folds(view_of(rgb), NO_INK).mean() < 0.005


def test_glass_has_no_folds() -> None:
    assert not find_folds(view_of(np.full((40, 50, 3), 240, np.uint8)), NO_INK[:40, :50]).any()
