"""CAMELYON16's own outlines at level 5, against a check written another way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.annotation import open_truth
from wsi_pipeline.annotation.drawing import canvas, write_mask
from wsi_pipeline.geometry import Size

SLIDES = ["Tumor_017", "Tumor_081", "Tumor_086", "Tumor_093", "Tumor_098", "Tumor_100"]
DOWNSAMPLE = 32
Points = NDArray[np.float64]


def winding_parity(points: Points, ring: Points) -> NDArray[np.bool_]:
    """Which points a ray to the right leaves through an odd number of edges."""
    inside = np.zeros(len(points), bool)
    x, y = points.T
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x1 + (y - y1) / (y2 - y1) * (x2 - x1)
        inside ^= crosses & (x < at)
    return inside


def distance_to(points: Points, ring: Points) -> NDArray[np.float64]:
    """Distance of points to the nearest edge of a ring."""
    nearest = np.full(len(points), np.inf)
    for start, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        along = end - start
        length = float(along @ along)
        share = np.zeros(len(points)) if length == 0 else ((points - start) @ along) / length
        foot = start + share.clip(0, 1)[:, None] * along
        nearest = np.minimum(nearest, np.linalg.norm(points - foot, axis=1))
    return nearest


@pytest.mark.parametrize("name", SLIDES)
def test_level_5_agrees_with_point_in_polygon(data: Path, tmp_path: Path, name: str) -> None:
    source = data / "annotations" / f"{name}.json"
    stated: dict[str, Any] = json.loads(source.read_text())
    rings = [np.array(polygon["vertices"], float) for polygon in stated["positive"]]
    corners = np.concatenate(rings)
    width, height = (int(v) // 512 * 512 + 1024 for v in corners.max(axis=0))
    path = tmp_path / "mask.tiff"
    size = Size(width, height)
    write_mask(open_truth(source, "ncrf", size), path, canvas(size, 5))
    mask = tifffile.imread(path)
    assert mask.shape == (height // DOWNSAMPLE, width // DOWNSAMPLE)

    # All px near each outline, and some of the rest.
    rng = np.random.default_rng(5)
    px = [rng.integers(0, mask.shape[::-1], (2000, 2))]
    for ring in rings:
        low = np.maximum(ring.min(axis=0) // DOWNSAMPLE - 3, 0).astype(int)
        high = (ring.max(axis=0) // DOWNSAMPLE + 4).astype(int)
        across, down = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
        px.append(np.stack([across.ravel(), down.ravel()], axis=1))
    every = np.concatenate(px)
    every = every[(every < mask.shape[::-1]).all(axis=1)]
    points: Points = ((every + 0.5) * DOWNSAMPLE).astype(np.float64)
    inside = np.zeros(len(points), bool)
    distance = np.full(len(points), np.inf)
    for ring in rings:
        inside |= winding_parity(points, ring)
        distance = np.minimum(distance, distance_to(points, ring))
    clear = distance > DOWNSAMPLE
    assert clear.sum() > 1000
    assert inside[clear].sum() > 0
    np.testing.assert_array_equal(mask[every[clear, 1], every[clear, 0]] == 255, inside[clear])
    # With the rule that a px is what its centre is, nearer ones agree just as well.
    np.testing.assert_array_equal(mask[every[:, 1], every[:, 0]] == 255, inside)


@pytest.mark.parametrize("name", ["qupath_polygon", "histoqc_holed"])
def test_geojson_of_others_is_read(data: Path, name: str) -> None:
    truth = open_truth(data / "annotations" / f"{name}.geojson", "geojson")
    assert truth.bounds is not None
    left, top, right, bottom = truth.bounds
    found = truth.window(left, top, 400, 400, max(right - left, bottom - top) / 400)
    assert 0 < found.mean() < 1
