"""Ink is found on glass and on tissue; nothing that a section is made of is ink."""

import numpy as np
import pytest
from quality_support import TISSUE, through, tissue, view_of

from wsi_pipeline.quality.pen import find_pen
from wsi_pipeline.synth.inks import PEN_COLOURS


@pytest.mark.parametrize("colour", PEN_COLOURS)
@pytest.mark.parametrize("under", ["lymphocytes", "collagen"])
def test_every_ink_is_found_on_glass_and_tissue(colour: str, under: str) -> None:
    rgb, light = tissue(TISSUE[under]), np.ones((300, 300, 1))
    light = np.where(np.arange(300)[None, :, None] < 140, np.array(PEN_COLOURS[colour]), 1.0)
    found = find_pen(view_of(through(rgb, light)))
    assert found[:, :135].mean() > 0.95
    assert found[:, 146:].mean() < 0.01


@pytest.mark.parametrize("colour", ["black", "red", "orange", "green"])
@pytest.mark.parametrize("under", [(96, 60, 131), (110, 74, 150), (170, 96, 140)])
def test_thin_ink_is_found_on_tissue_of_any_hue(colour: str, under: tuple[int, int, int]) -> None:
    # Where tissue is dense and bluish, the sum of both densities resembles a third tissue.
    ink = 1 - 0.65 * (1 - np.array(PEN_COLOURS[colour]))
    light = np.where(np.arange(300)[None, :, None] < 140, ink, 1.0)
    found = find_pen(view_of(through(tissue(under), light)))
    assert found[35:-35, 35:135].mean() > 0.95
    assert found[:, 146:].mean() < 0.01


def test_a_cover_slips_edge_is_no_ink() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rgb[:, 140:162] = through(rgb[:, 140:162], np.array(0.4))  # 88 µm wide
    assert not find_pen(view_of(rgb)).any()


@pytest.mark.parametrize("name", TISSUE)
def test_nothing_of_a_section_is_ink(name: str) -> None:
    assert not find_pen(view_of(tissue(TISSUE[name]))).any()


def test_opaque_ink_is_found() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rgb[100:200] = (32, 30, 36)
    found = find_pen(view_of(rgb))
    assert found[104:196].mean() > 0.95
    assert not found[:95].any()
