"""Numbers of a map: shapes as scikit-image measures them, and what one wrong cell cannot move."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import regionprops

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes, ModelClass
from wsi_pipeline.geometry import PerAxis
from wsi_pipeline.slide_level.features import THRESHOLDS, feature_names, features_of, shape_of
from wsi_pipeline.testing.slide_maps import planted_map

CELL = PerAxis(0.1, 0.1)
_FINE = 9
NAMES = feature_names(TUMOUR_OR_NORMAL)


def named(probability: np.ndarray, cell: PerAxis = CELL) -> dict[str, float]:
    found = features_of(TUMOUR_OR_NORMAL, probability, cell)
    assert found is not None
    assert np.isfinite(found).all()
    return dict(zip(NAMES, found.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), height=st.integers(1, 12), width=st.integers(1, 12))
def test_shapes_are_those_of_scikit_image(seed: int, height: int, width: int) -> None:
    drawn = np.random.default_rng(seed).random((height, width)) < 0.6
    labels, count = ndimage.label(drawn, np.ones((3, 3)))
    if not count:
        return
    inside = labels[ndimage.find_objects(labels)[0]] == 1
    extent, eccentricity, solidity, major = shape_of(inside, CELL)
    # They take px for points, we for squares: as small px do it that fill each cell.
    fine = np.kron(inside, np.ones((_FINE, _FINE), np.int64))
    theirs = regionprops(fine)[0]  # type: ignore[no-untyped-call]  # scikit-image has no types
    assert extent == pytest.approx(theirs.extent)
    assert eccentricity == pytest.approx(theirs.eccentricity, abs=0.02)
    assert _FINE * major == pytest.approx(0.1 * theirs.axis_major_length, rel=0.01)
    assert solidity == pytest.approx(theirs.solidity, abs=0.1)
    assert solidity <= 1 + 1e-9


def test_cells_that_are_not_square_are_measured_in_mm() -> None:
    tall = np.ones((6, 3), bool)
    wide = np.ones((3, 6), bool)
    assert shape_of(tall, PerAxis(0.2, 0.1)) == pytest.approx(
        (1, 0, 1, 4 * np.sqrt(0.03)), abs=1e-6
    )
    assert shape_of(wide, PerAxis(0.1, 0.1))[1] == pytest.approx(np.sqrt(1 - 0.25))


def test_regions_are_counted_and_their_areas_known() -> None:
    probability = np.full((20, 20), 0.1, np.float32)
    probability[:5] = np.nan
    probability[8:12, 8:10] = 0.8
    probability[15, 15] = 0.95
    found = named(probability)
    assert 10 ** found["tumour share ≥ 0.5"] == pytest.approx(9 / 300, abs=1e-5)
    assert np.expm1(found["tumour regions ≥ 0.5"]) == pytest.approx(2)
    assert np.expm1(found["tumour regions ≥ 0.9"]) == pytest.approx(1)
    assert 10 ** found["tumour largest_mm2 ≥ 0.5"] == pytest.approx(0.081)
    assert 10 ** found["tumour second_mm2 ≥ 0.5"] == pytest.approx(0.011)
    assert found["tumour mean_probability ≥ 0.5"] == pytest.approx(0.8)
    assert found["tumour largest_probability ≥ 0.9"] == pytest.approx(0.95)
    assert len(NAMES) == len(THRESHOLDS) * 11 + 7


def test_one_wrong_cell_moves_the_maximum_and_not_the_mean_of_nine() -> None:
    probability = np.full((20, 20), 0.05, np.float32)
    clean = named(probability)
    probability[10, 10] = 0.999
    wrong = named(probability)
    assert wrong["tumour max"] - clean["tumour max"] > 8
    assert wrong["tumour max_of_means"] - clean["tumour max_of_means"] < 2


def test_each_plane_has_its_features_and_nothing_classified_has_none() -> None:
    three = Classes(
        "multiclass", tuple(map(ModelClass, ("normal", "tumour", "necrosis"))), "tumour"
    )
    rng = np.random.default_rng(1)
    planes = np.stack([planted_map(rng, positive=True) for _ in range(3)])
    found = features_of(three, planes, CELL)
    assert found is not None
    assert len(found) == len(feature_names(three)) == 3 * len(NAMES)
    alone = features_of(TUMOUR_OR_NORMAL, planes[1], CELL)
    assert found[len(NAMES) : 2 * len(NAMES)] == pytest.approx(alone)
    assert features_of(TUMOUR_OR_NORMAL, np.full((4, 4), np.nan, np.float32), CELL) is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_any_map_gives_finite_numbers(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.choice([0, 0.5, 1, np.nan], (rows, columns)).astype(np.float32)
    found = features_of(TUMOUR_OR_NORMAL, probability, CELL)
    assert (found is None) == np.isnan(probability).all()
    if found is not None:
        assert found.shape == (len(NAMES),)
        assert np.isfinite(found).all()
