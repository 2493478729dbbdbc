"""Optical densities of tissue px, and how far some are from others."""

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.tissue.colours import Colours, patch_colours, summarise


def patch(*colour: int, glass: float = 0.0) -> NDArray[np.uint8]:
    made = np.full((80, 80, 3), colour, np.uint8)
    made[: round(80 * glass)] = 245
    return made


def test_densities_are_those_of_beer_and_lambert() -> None:
    mean, std = patch_colours(patch(180, 60, 127))
    assert mean == pytest.approx(-np.log10((np.array([180, 60, 127]) + 1) / 256), abs=1e-6)
    assert std == pytest.approx([0, 0, 0], abs=1e-6)


def test_only_tissue_counts() -> None:
    whole, half = patch_colours(patch(180, 60, 127)), patch_colours(patch(180, 60, 127, glass=0.5))
    assert half == pytest.approx(whole, abs=1e-6)
    assert np.isnan(patch_colours(patch(245, 245, 245))).all()
    assert np.isnan(patch_colours(patch(0, 0, 0))).all()


def test_a_texture_has_a_deviation() -> None:
    checks = patch(180, 60, 127)
    checks[:40] = (90, 60, 127)
    _, std = patch_colours(checks)
    assert std[0] == pytest.approx(np.log10(181 / 91) / 2, abs=1e-6)
    assert std[1:] == pytest.approx([0, 0], abs=1e-6)


def test_every_value_counts_as_often_as_it_is_there() -> None:
    pixels = np.random.default_rng(3).integers(30, 200, (64, 48, 3)).astype(np.uint8)
    looked = -np.log10((pixels[::4, ::4].reshape(-1, 3) + 1.0) / 256)
    mean, std = patch_colours(pixels)
    assert mean == pytest.approx(looked.mean(axis=0), abs=1e-6)
    assert std == pytest.approx(looked.std(axis=0), abs=1e-6)


def test_what_patches_have_in_common() -> None:
    rng = np.random.default_rng(2)
    measured = rng.normal(0.3, 0.05, (40, 2, 3)).astype(np.float32)
    measured[3] = np.nan
    colours = summarise(measured)
    assert colours is not None
    known = np.delete(measured, 3, axis=0)
    assert colours.patches == 39
    assert colours.mean == pytest.approx(known[:, 0].mean(axis=0), abs=1e-6)
    assert colours.std == pytest.approx(known[:, 1].mean(axis=0), abs=1e-6)
    assert np.allclose(colours.covariance, np.cov(known[:, 0].T), atol=1e-6)
    assert summarise(measured[:8]) is None  # seven count


def test_distances_are_in_deviations_of_the_patches() -> None:
    """Along a direction in which the patches vary, the same step is nearer."""
    colours = Colours(20, (0.3, 0.3, 0.3), (0.1, 0.1, 0.1), ((0.01, 0, 0), (0, 0, 0), (0, 0, 0)))
    assert colours.distance((0.3, 0.3, 0.3)) == 0
    assert colours.distance((0.5, 0.3, 0.3)) == pytest.approx(2, rel=0.01)
    # Where they do not vary at all, what rounding does counts as one deviation.
    assert colours.distance((0.3, 0.32, 0.3)) == pytest.approx(2)
