"""Varied amounts of stain: neutral numbers change nothing, a factor is a factor of density."""

import numpy as np
import pytest

from wsi_pipeline.stain.appearance import LabStatistics, StainMatrix
from wsi_pipeline.stain.density import DENSITY, RUIFROK, optical_density
from wsi_pipeline.stain.perturbation import density_change, three_stains

TARGET = StainMatrix((0.6, 0.7, 0.387298), (0.1, 0.9, 0.424264), (1.0, 0.5))


@pytest.mark.parametrize("target", [None, TARGET])
def test_amounts_become_a_c_plus_b(target: StainMatrix | None) -> None:
    stains = three_stains(target)
    amounts = np.array([[0.3, 0.2, 0.05]])
    scale, shift = np.array([[1.2, 0.9, 1.0]]), np.array([[0.0, 0.1, -0.02]])
    matrix, added = density_change(scale, shift, stains, np.linalg.inv(stains))
    changed = (amounts @ stains) @ matrix[0] + added
    assert changed @ np.linalg.inv(stains) == pytest.approx(scale * amounts + shift, abs=1e-5)


def test_the_target_s_own_stains_are_varied() -> None:
    found = three_stains(TARGET)
    assert found[:2] == pytest.approx(TARGET.directions)
    assert found[2] @ TARGET.directions.T == pytest.approx([0, 0], abs=1e-9)
    assert three_stains(None) is RUIFROK
    assert three_stains(LabStatistics((50, 1, 1), (1, 1, 1))) is RUIFROK


def test_the_table_of_densities_is_their_formula() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(-1, 1).repeat(3, 1)
    assert np.array_equal(optical_density(values), DENSITY[values])
    assert optical_density(values, np.array([200.0, 210, 220]))[200, 0] == pytest.approx(0)
