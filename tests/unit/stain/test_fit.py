"""How px are stained is found where it can be told; everything else is said, and nothing is NaN."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from wsi_pipeline.stain.appearance import (
    METHODS,
    Appearance,
    LabStatistics,
    Method,
    StainFit,
    StainMatrix,
    median_appearance,
)
from wsi_pipeline.stain.density import RUIFROK
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.normalisation import StainTarget

HE = StainMatrix((0.65, 0.704286, 0.285458), (0.0722, 0.9919, 0.1048), (1.0, 0.6))
TARGETS: dict[Method, Appearance] = {
    "macenko": HE,
    "vahadane": HE,
    "reinhard": LabStatistics((60.0, 20.0, -12.0), (15.0, 7.0, 6.0)),
}


def stained(
    amounts: NDArray[np.float64], directions: NDArray[np.float64] = RUIFROK[:2]
) -> NDArray[np.uint8]:
    """Px of so much of each stain, ``(n, 3)``."""
    light = 256 * 10 ** -(amounts @ directions) - 1
    return np.clip(light + 0.5, 0, 255).astype(np.uint8)


def section(seed: int = 0, count: int = 6000) -> NDArray[np.uint8]:
    """Px of nuclei, which hold mostly haematoxylin, of stroma, and of glass."""
    rng = np.random.default_rng(seed)
    nuclei = rng.uniform((0.4, 0.0), (1.0, 0.1), (count // 3, 2))
    stroma = rng.uniform((0.0, 0.1), (0.05, 0.6), (count // 3, 2))
    return stained(np.concatenate([nuclei, stroma, np.zeros((count // 3, 2))]))


def test_macenko_finds_the_stains_that_were_used() -> None:
    found = fit_stain("macenko", section()).appearance
    assert isinstance(found, StainMatrix)
    assert found.directions == pytest.approx(RUIFROK[:2], abs=0.06)
    assert found.concentrations == pytest.approx((1.0, 0.6), abs=0.06)


def test_vahadane_is_no_farther_off_where_few_px_hold_one_stain_alone() -> None:
    rng = np.random.default_rng(1)
    amounts = rng.exponential((0.25, 0.25), (8000, 2))
    macenko, vahadane = (fit_stain(m, stained(amounts)).appearance for m in METHODS[::2])
    assert isinstance(macenko, StainMatrix)
    assert isinstance(vahadane, StainMatrix)
    assert vahadane.directions.min() >= 0
    assert vahadane.directions == pytest.approx(RUIFROK[:2], abs=0.2)


def test_the_share_of_glass_does_not_count() -> None:
    px = section()
    glass = np.full((40_000, 3), 245, np.uint8)
    alone, beside = fit_stain("macenko", px), fit_stain("macenko", np.concatenate([px, glass]))
    assert alone == beside


NOTHING = {
    "blank": (np.full((5000, 3), 250, np.uint8), "stained"),
    "black": (np.zeros((5000, 3), np.uint8), "not black"),
    "tiny": (section()[:400], "are needed"),
    "empty": (np.zeros((0, 3), np.uint8), "not black"),
    "one colour": (np.full((5000, 3), (120, 60, 140), np.uint8), ""),
    "grey": (np.repeat(np.arange(20, 220, dtype=np.uint8), 30)[:, None].repeat(3, 1), ""),
    "fluorescence": (
        np.random.default_rng(0).poisson((2, 3, 20), (5000, 3)).astype(np.uint8),
        "dark",
    ),
}


@pytest.mark.parametrize("kind", NOTHING)
@pytest.mark.parametrize("method", METHODS)
def test_what_shows_no_stain_has_a_reason_and_stays_as_it_is(method: Method, kind: str) -> None:
    pixels, word = NOTHING[kind]
    made = StainTarget(method, TARGETS[method]).fitted(pixels)
    assert made.fit.appearance is None
    assert word in made.fit.reason
    assert made.fit.reason in made.warning
    assert made.recolouring()(pixels) is pixels


@pytest.mark.parametrize("method", METHODS[::2])
@pytest.mark.parametrize("stain", [0, 1])
def test_one_stain_alone_is_not_taken_for_two(method: Method, stain: int) -> None:
    rng = np.random.default_rng(0)
    amounts = np.zeros((6000, 2))
    amounts[:, stain] = rng.uniform(0.1, 1, len(amounts))
    clean = stained(amounts)
    noisy = np.clip(clean + rng.normal(0, 1, clean.shape), 0, 255).astype(np.uint8)
    for pixels in (clean, noisy):
        fit = fit_stain(method, pixels)
        assert fit.appearance is None
        assert "one stain only" in fit.reason


@given(
    arrays(np.uint8, st.tuples(st.integers(0, 40), st.just(3))),
    st.sampled_from(METHODS),
    st.integers(1, 900),
    st.integers(0, 2**32 - 1),
)
def test_no_px_make_a_fit_fail(
    few: NDArray[np.uint8], method: Method, repeats: int, seed: int
) -> None:
    """Some colours in any shares, as they are and with noise: a fit or a reason, and legal px."""
    rng = np.random.default_rng(seed)
    many = few[rng.integers(0, len(few), repeats * 4)] if len(few) else few
    noise = rng.integers(-4, 5, many.shape)
    for pixels in (many, np.clip(many + noise, 0, 255).astype(np.uint8)):
        made = StainTarget(method, TARGETS[method]).fitted(pixels)
        assert (made.fit.appearance is None) == bool(made.fit.reason)
        found = made.recolouring()(pixels)
        assert found.dtype == np.uint8
        assert found.shape == pixels.shape


def test_a_stain_that_is_far_weaker_is_not_made_up() -> None:
    faint = fit_stain("macenko", stained(np.random.default_rng(0).uniform(0.02, 0.15, (6000, 2))))
    assert isinstance(faint.appearance, StainMatrix)
    strong = StainMatrix(HE.haematoxylin, HE.eosin, (2.0, 1.8))
    made = StainTarget("macenko", strong).of(faint)
    assert "times as strong" in made.fit.reason


def test_numbers_that_are_no_stain_are_refused() -> None:
    with pytest.raises(ValueError, match="unit vectors"):
        StainMatrix((1, 1, 1), (0, 1, 0), (1, 1))
    with pytest.raises(ValueError, match="the same"):
        StainMatrix((0, 1, 0), (0, 1, 0), (1, 1))
    with pytest.raises(ValueError, match="above 0"):
        StainMatrix((1, 0, 0), (0, 1, 0), (1, 0))
    with pytest.raises(ValueError, match="above 0"):
        LabStatistics((50, 0, 0), (1, 0, 1))
    with pytest.raises(ValueError, match="mean and std"):
        StainTarget("reinhard", HE)
    with pytest.raises(ValueError, match="or a reason"):
        StainFit("macenko", None)


def test_the_usual_appearance_is_the_median_of_each_number() -> None:
    fits = [fit_stain("macenko", section(seed)).appearance for seed in range(3)]
    found = median_appearance([one for one in fits if one is not None])
    assert isinstance(found, StainMatrix)
    assert np.linalg.norm(found.directions, axis=1) == pytest.approx([1, 1], abs=1e-5)
    concentrations = sorted(one.concentrations[0] for one in fits if isinstance(one, StainMatrix))
    assert found.concentrations[0] == concentrations[1]
    first, second = LabStatistics((1, 2, 3), (1, 1, 1)), LabStatistics((3, 4, 5), (3, 3, 3))
    assert median_appearance([first, second]) == LabStatistics((2, 3, 4), (2, 2, 2))
    assert median_appearance([]) is None
