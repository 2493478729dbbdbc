"""What patches look like, and what is said of the difference."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wsi_pipeline.shift.appearance import APPEARANCE, PARTS, looks_of, patch_appearance
from wsi_pipeline.shift.channels import exchanged
from wsi_pipeline.shift.comparison import describe
from wsi_pipeline.tissue.colours import patch_colours, summarise


def tissue(seed: int, colour: tuple[int, int, int] = (170, 95, 160)) -> NDArray[np.uint8]:
    """Noise of several scales, as tissue has."""
    rng = np.random.default_rng(seed)
    plane = sum(
        gaussian_filter(rng.normal(0, 1, (96, 96)), sigma) * 14 * (1 + sigma)
        for sigma in (0, 1, 3, 6)
    )
    shade = np.asarray(plane)[..., None] + rng.normal(0, 6)
    return np.asarray((np.array(colour) + shade).clip(0, 255), np.uint8)


def appearances(*patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.stack([patch_appearance(patch) for patch in patches])


TRAINING = [tissue(seed) for seed in range(30)]
LOOKS = looks_of(appearances(*TRAINING))


def blurred(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(gaussian_filter(patch.astype(float), (1.5, 1.5, 0)), np.uint8)


@pytest.mark.parametrize("smooth", [False, True])
def test_bands_are_variances_within_blocks(*, smooth: bool) -> None:
    patch = tissue(50)[:, :91]
    if smooth:  # where variances are tiny beside the mean
        patch = np.asarray(gaussian_filter(patch.astype(float), (6, 6, 0)), np.uint8)
    plane = patch.astype(np.float64) @ [0.2125, 0.7154, 0.0721]
    bands = []
    for _ in range(5):
        height, width = plane.shape[0] // 2, plane.shape[1] // 2
        blocks = plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
        bands.append(np.log(blocks.var(axis=(1, 3)).mean() + 0.1))
        plane = blocks.mean(axis=(1, 3))
    found = patch_appearance(patch)
    assert found[PARTS["texture"]] == pytest.approx(bands[1:], abs=1e-4)
    assert found[PARTS["focus"]] == pytest.approx(bands[0] - bands[1], abs=1e-4)


def test_colours_are_those_of_the_tissue_rule() -> None:
    found = patch_appearance(TRAINING[0])
    assert found.shape == (APPEARANCE,)
    assert np.array_equal(found[PARTS["colour"]].reshape(2, 3), patch_colours(TRAINING[0]))
    assert np.isnan(patch_appearance(np.full((96, 96, 3), 250, np.uint8))).all()
    assert np.isnan(patch_appearance(TRAINING[0][:20])[PARTS["focus"]]).all()


@pytest.mark.parametrize(
    ("part", "others", "words"),
    [
        ("focus", [blurred(tissue(seed)) for seed in range(50, 60)], "blurred"),
        ("colour", [tissue(seed, (120, 50, 110)) for seed in range(50, 60)], "darker"),
        ("colour", [tissue(seed, (120, 110, 190)) for seed in range(50, 60)], "bluer"),
        ("texture", [tissue(s) // 4 + 90 for s in range(50, 60)], "less contrast"),
    ],
)
def test_what_differs_is_named(part: str, others: list[NDArray[np.uint8]], words: str) -> None:
    own = appearances(*[tissue(seed) for seed in range(30, 40)]).mean(axis=0, keepdims=True)
    mean = appearances(*others).mean(axis=0, keepdims=True)
    near, far = LOOKS.distances(own), LOOKS.distances(mean)
    assert far[part] > 3 * near[part]  # type: ignore[index]  # one of the three
    assert words in describe(part, mean[0].astype(np.float64), LOOKS)  # type: ignore[arg-type]  # as above
    assert describe(part, LOOKS.mean, LOOKS) == ""  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("order", "told"),
    [([2, 1, 0], "stored in the order BGR"), ([1, 2, 0], "order"), ([0, 1, 2], "")],
)
def test_exchanged_channels_are_told(order: list[int], told: str) -> None:
    colours = summarise(np.array([patch_colours(patch) for patch in TRAINING]))
    other = summarise(np.array([patch_colours(tissue(seed)[..., order]) for seed in range(60, 80)]))
    assert colours is not None
    assert other is not None
    found = exchanged(other.mean, colours.distance)
    assert bool(found) == bool(told)
    assert told in found


def test_inverted_channels_are_told_and_another_stain_is_not() -> None:
    colours = summarise(np.array([patch_colours(patch) for patch in TRAINING]))
    assert colours is not None
    inverted = [255 - tissue(seed) for seed in range(60, 80)]
    found = summarise(np.array([patch_colours(patch) for patch in inverted]))
    assert found is not None
    assert exchanged(found.mean, colours.distance).startswith("inverted")
    green = summarise(np.array([patch_colours(tissue(s, (70, 110, 60))) for s in range(60, 80)]))
    assert green is not None
    assert exchanged(green.mean, colours.distance) == ""
