"""Sizes of nuclei follow the resolution that is stated."""

import numpy as np
import pytest

from wsi_pipeline.shift import nuclei
from wsi_pipeline.shift.nuclei import nuclei_diameter
from wsi_pipeline.synth import CLASSES, labelled_patches


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    found, kinds = labelled_patches(6, seed=41, patch_px=256, mpp=0.25, slide_px=4096)
    normal: np.ndarray = found[kinds == CLASSES.index("normal")]
    return normal


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_size_is_in_proportion_to_the_resolution(patches: np.ndarray, factor: float) -> None:
    sizes = [nuclei_diameter(patch, 0.25 * factor) for patch in patches]
    assert 4.2 * factor < float(np.median(sizes)) < 8.0 * factor


def test_the_same_tissue_has_the_same_size_at_another_level(patches: np.ndarray) -> None:
    fine = np.median([nuclei_diameter(patch, 0.25) for patch in patches])
    halves = [
        patch.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)).astype(np.uint8) for patch in patches
    ]
    coarse = np.median([nuclei_diameter(patch, 0.5) for patch in halves])
    assert coarse == pytest.approx(fine, rel=0.25)


def test_without_nuclei_there_is_no_size() -> None:
    assert np.isnan(nuclei_diameter(np.full((128, 128, 3), 240, np.uint8), 0.5))
    noise = np.random.default_rng(3).normal(180, 2, (128, 128, 1)).repeat(3, axis=2)
    assert np.isnan(nuclei_diameter(noise.astype(np.uint8), 0.5))
    assert np.isnan(nuclei_diameter(np.zeros((128, 128, 3), np.uint8), 4.0))
    assert np.isnan(nuclei_diameter(np.zeros((8, 8, 3), np.uint8), 0.5))


def test_the_strongest_answers_are_a_percentile() -> None:
    rng = np.random.default_rng(5)
    for width in (25, 36, 101, 9216):
        rows = rng.normal(size=(3, width)).astype(np.float32)
        expected = np.percentile(rows.astype(np.float64), 98, axis=1)
        assert np.allclose(nuclei._percentile(rows, 98), expected, rtol=0, atol=1e-7)


def test_px_are_unmixed_and_averaged(patches: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    planes: list[np.ndarray] = []

    def answers(plane: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
        planes.append(plane)
        return np.zeros(len(sigmas))

    monkeypatch.setattr(nuclei, "_answers", answers)
    nuclei_diameter(patches[0], 0.25)
    # Of the definition: optical densities, the first row of what undoes the mixture of stains.
    density = -np.log10((patches[0].astype(np.float64) + 1) / 256)
    stains = nuclei._STAINS / np.linalg.norm(nuclei._STAINS, axis=1, keepdims=True)
    haematoxylin = np.linalg.solve(stains.T, density[..., None])[..., 0, 0]
    middle = haematoxylin[32:-32, 32:-32].reshape(96, 2, 96, 2).mean(axis=(1, 3))
    assert np.allclose(planes[0], middle, atol=1e-5)
