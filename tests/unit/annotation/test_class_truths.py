"""The truth of every class in one file: by the names of groups, or by numbers that are named."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsi_pipeline.annotation.class_truths import open_class_truths
from wsi_pipeline.annotation.mask import MaskTruth
from wsi_pipeline.annotation.mask_file import CLASS_NAMES
from wsi_pipeline.annotation.truth import Truth
from wsi_pipeline.errors import AnnotationError
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth import writer

SIZE = Size(64, 48)
#: Group, and x, y, width, height in level-0 px.
BOXES = (
    ("Tumor", (0, 0, 20, 20)),
    ("Exclusion", (5, 5, 10, 10)),
    ("Necrosis: old", (6, 6, 4, 4)),
    ("Necrosis", (40, 10, 10, 10)),
    ("Other thing", (0, 30, 5, 5)),
)
CLASSES = ("normal", "tumour", "necrosis", "mucin")


def outlines(path: Path) -> Path:
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]]],
            },
            "properties": {"classification": {"name": group}},
        }
        for group, (x, y, w, h) in BOXES
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def areas(truths: Mapping[str, Truth]) -> dict[str, int]:
    return {
        name: int(truth.window(0, 0, SIZE.width, SIZE.height, 1).sum())
        for name, truth in truths.items()
    }


def test_groups_by_their_names(tmp_path: Path) -> None:
    truths = open_class_truths(outlines(tmp_path / "a.geojson"), "geojson", SIZE, CLASSES)
    # Exclusions are cut out of tumour alone: necrosis in a hole of it stays.
    assert areas(truths) == {"tumour": 400 - 100, "necrosis": 16 + 100}


def test_a_class_beyond_the_slide_is_refused(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.geojson")
    with pytest.raises(AnnotationError, match="outside the slide"):
        open_class_truths(path, "geojson", Size(45, 48), ("necrosis",))


def test_tumour_by_the_names_that_are_declared(tmp_path: Path) -> None:
    path = outlines(tmp_path / "a.geojson")
    truths = open_class_truths(path, "geojson", SIZE, CLASSES, tumour=("Other thing",))
    assert areas(truths)["tumour"] == 25


def numbers(path: Path, names: list[str] | None) -> Path:
    mask = np.zeros((SIZE.height, SIZE.width), np.uint8)
    mask[:10, :10], mask[20:25, 20:30] = 1, 2
    said = None if names is None else json.dumps({CLASS_NAMES: names})
    tifffile.imwrite(path, mask, tile=(16, 16), description=said, metadata=None)
    return path


def test_numbers_by_the_names_in_the_mask(tmp_path: Path) -> None:
    path = numbers(tmp_path / "m.tiff", ["normal", "Tumour", "necrosis"])
    truths = open_class_truths(path, "mask-classes", SIZE, CLASSES)
    found = areas(truths)
    assert (found["tumour"], found["necrosis"], "mucin" in found) == (100, 50, False)
    assert found["normal"] == SIZE.area - 150
    again = pickle.loads(pickle.dumps(truths["necrosis"]))
    assert areas({"necrosis": again}) == {"necrosis": 50}
    # Whoever asks for tumour alone gets it.
    assert areas({"tumour": MaskTruth(path, "mask-classes", SIZE)}) == {"tumour": 100}


@pytest.mark.parametrize("names", [None, ["normal", "fat", "necrosis"]])
def test_a_mask_of_classes_without_tumour_is_no_truth_of_it(
    tmp_path: Path, names: list[str] | None
) -> None:
    path = numbers(tmp_path / "m.tiff", names)
    with pytest.raises(AnnotationError, match="none of them is tumour"):
        MaskTruth(path, "mask-classes", SIZE)


def test_a_number_without_a_name_is_refused(tmp_path: Path) -> None:
    path = numbers(tmp_path / "m.tiff", ["normal", "tumour"])
    truths = open_class_truths(path, "mask-classes", SIZE, CLASSES)
    with pytest.raises(AnnotationError, match="value 2"):
        areas(truths)


def test_a_mask_of_one_value_is_of_tumour(tmp_path: Path) -> None:
    mask = np.zeros((SIZE.height, SIZE.width), np.uint8)
    mask[:4, :4] = 255
    tifffile.imwrite(tmp_path / "m.tiff", mask, tile=(16, 16))
    truths = open_class_truths(tmp_path / "m.tiff", "mask-255", SIZE, CLASSES)
    assert areas(truths) == {"tumour": 16}
    assert open_class_truths(tmp_path / "m.tiff", "mask-255", SIZE, ("mucin",)) == {}


def test_what_is_drawn_here_names_its_numbers_alike() -> None:
    assert writer.CLASS_NAMES == CLASS_NAMES
