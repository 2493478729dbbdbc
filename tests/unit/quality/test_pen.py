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


@pytest.mark.parametrize("name", TISSUE)
def test_nothing_of_a_section_is_ink(name: str) -> None:
    assert not find_pen(view_of(tissue(TISSUE[name]))).any()


def test_opaque_ink_is_found() -> None:
    rgb = tissue(TISSUE["lymphocytes"])
    rgb[100:200] = (32, 30, 36)
    found = find_pen(view_of(rgb))
    assert found[104:196].mean() > 0.95
    assert not found[:95].any()
