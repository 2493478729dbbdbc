"""The drawing: exact rasters, seamless textures, and tumour that is more than a colour."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from shapely import contains_xy
from shapely.geometry import Polygon

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth import PatchKind, SynthSpec, render_patches
from wsi_pipeline.synth.atlas import Texture
from wsi_pipeline.synth.outlines import blob, rasterise, rectangle, rings
from wsi_pipeline.synth.scene import Scene

LUMINANCE = np.array([0.2125, 0.7154, 0.0721])


@given(st.integers(0, 2**32), st.floats(500, 9000), st.integers(-90, 60), st.integers(-90, 60))
@settings(max_examples=30, deadline=None)
def test_rasters_follow_the_centre_rule(seed: int, area: float, x0: int, y0: int) -> None:
    shape = blob(np.random.default_rng(seed), (3.3, -7.7), area)
    assert shape.area == pytest.approx(area, rel=0.02)
    drawn = rasterise(rings([shape]), x0, y0, 70, 50)
    x, y = np.meshgrid(np.arange(70) + x0 + 0.5, np.arange(50) + y0 + 0.5)
    if shape.is_valid:
        assert int(((drawn > 0) != contains_xy(shape, x, y)).sum()) <= 1


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))
def test_rectangles_cover_their_px(x: int, y: int, width: int, height: int) -> None:
    drawn = rasterise(rings([rectangle(x, y, width, height)]), 0, 0, 100, 90)
    expected = np.zeros((90, 100), np.uint8)
    expected[y : y + height, x : x + width] = 255
    np.testing.assert_array_equal(drawn, expected)


def test_holes_are_left_out() -> None:
    ring = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(2, 2), (5, 2), (5, 5), (2, 5)]])
    assert int((rasterise(rings([ring]), 0, 0, 20, 20) > 0).sum()) == 91


@given(st.integers(-300, 300), st.integers(-300, 300), st.integers(1, 70), st.integers(1, 70))
def test_textures_wrap(x: int, y: int, width: int, height: int) -> None:
    side = 32
    image = np.arange(side * side * 3, dtype=np.uint32).astype(np.uint8).reshape(side, side, 3)
    out = np.empty((height, width, 3), np.uint8)
    Texture(image).copy_to(out, x, y)
    rows, columns = np.arange(y, y + height) % side, np.arange(x, x + width) % side
    np.testing.assert_array_equal(out, image[np.ix_(rows, columns)])


def test_windows_agree() -> None:
    scene = Scene(SynthSpec(Size(2000, 1800), seed=8))
    whole = scene.render(0, 0, 2000, 1800)
    part = scene.render(513, 390, 700, 611)
    same = (whole.image[390 : 390 + 611, 513 : 513 + 700] == part.image).all(axis=-1)
    assert same.mean() > 0.999
    assert whole.classes is not None
    found = part.classes if part.classes is not None else np.zeros((611, 700), np.uint8)
    np.testing.assert_array_equal(whole.classes[390 : 390 + 611, 513 : 513 + 700], found)


def test_shares_are_kept() -> None:
    scene = Scene(SynthSpec(Size(4000, 3500), seed=9, tumour=0.2))
    tissue = float((scene.anatomy.depth > 0).sum()) * scene.anatomy.cell**2
    assert tissue / (4000 * 3500) == pytest.approx(0.35, abs=0.06)
    assert sum(p.area for p in scene.tumour) / tissue == pytest.approx(0.2, abs=0.04)
    sizes = [p.area for p in scene.tumour]
    assert len(sizes) >= 3
    assert sizes[0] > 5 * sizes[-1]


def separation(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    """Area under the ROC curve, whichever way round."""
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    area = (ranks.sum() - len(positive) * (len(positive) + 1) / 2) / len(positive) / len(negative)
    return float(max(area, 1 - area))


def grain(patch: npt.NDArray[np.uint8]) -> float:
    """Energy of fine over coarser structure: high for small, low for large nuclei."""
    red = patch[..., 0].astype(np.float32)
    blurred = [np.asarray(gaussian_filter(red, s)) for s in (4.0, 8.0, 16.0)]
    fine, coarse = blurred[0] - blurred[1], blurred[1] - blurred[2]
    return float(fine.var() / (coarse.var() + 1e-3))


@pytest.fixture(scope="module")
def patches() -> dict[PatchKind, npt.NDArray[np.uint8]]:
    kinds: tuple[PatchKind, PatchKind] = ("tumour", "normal")
    return {kind: render_patches(kind, 80, seed=2) for kind in kinds}


def test_mean_colour_does_not_tell_tumour(patches: dict[PatchKind, npt.NDArray[np.uint8]]) -> None:
    tumour = patches["tumour"].mean(axis=(1, 2))
    normal = patches["normal"].mean(axis=(1, 2))
    cellular = normal[normal @ LUMINANCE < 165]
    assert len(cellular) > 30
    for group in (normal, cellular):
        assert separation(tumour @ LUMINANCE, group @ LUMINANCE) < 0.8
    assert np.abs(tumour.mean(axis=0) - cellular.mean(axis=0)).max() < 12


def test_structure_tells_tumour(patches: dict[PatchKind, npt.NDArray[np.uint8]]) -> None:
    tumour = np.array([grain(patch) for patch in patches["tumour"]])
    normal = patches["normal"]
    cellular = normal[normal.mean(axis=(1, 2)) @ LUMINANCE < 165]
    assert separation(tumour, np.array([grain(patch) for patch in cellular])) > 0.9


def test_patches_are_repeatable_and_scaled() -> None:
    first = render_patches("border", 3, seed=2, mpp=1.0, patch_px=128)
    assert first.shape == (3, 128, 128, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, render_patches("border", 3, seed=2, mpp=1.0, patch_px=128))
    assert render_patches("normal", 0, seed=2).shape == (0, 299, 299, 3)


def test_by_area_most_normal_patches_are_of_common_tissue(
    patches: dict[PatchKind, npt.NDArray[np.uint8]],
) -> None:
    by_tissue = patches["normal"][:40]
    by_area = render_patches("normal", 40, seed=2, spread="area")
    cellular = [(some.mean(axis=(1, 2)) @ LUMINANCE < 165).mean() for some in (by_area, by_tissue)]
    assert cellular[0] > cellular[1]


def test_unknown_patches_are_refused() -> None:
    with pytest.raises(UsageError, match="µm/px"):
        render_patches("tumour", 1, seed=2, mpp=0.3)
    with pytest.raises(UsageError, match="border"):
        render_patches("glass", 1, seed=2)  # type: ignore[arg-type] # what is tested
