"""Alike images lie together on the map, and the most alike of different classes are named."""

import numpy as np

from wsi_pipeline.images.classification import Answer, Outcome
from wsi_pipeline.images.data_map import LEAST, draw_map, similar_pairs
from wsi_pipeline.images.table import Row
from wsi_pipeline.images.verdict import Verdict

from .conftest import MakeImages


def test_similar_pairs_are_of_different_kinds_and_each_is_shown_once() -> None:
    values = np.array([[1, 0], [1, 0.001], [1, 0.002], [0, 1], [0.1, 1], [1, 0.5]], np.float32)
    kinds = ["a", "b", "a", "a", "a", "b"]
    found = similar_pairs(values, kinds)
    # The first three are nearly one image; 0 and 2 are of one kind, so one of them pairs with 1.
    first = found[0]
    assert {kinds[first[0]], kinds[first[1]]} == {"a", "b"}
    assert 1 in first[:2]
    assert first[2] > 0.999
    places = [place for one in found for place in one[:2]]
    assert len(places) == len(set(places))
    assert [one[2] for one in found] == sorted((one[2] for one in found), reverse=True)
    assert similar_pairs(values, ["a"] * 6) == ()


def test_a_handful_of_images_has_no_map(make_images: MakeImages) -> None:
    rows = [
        Row(
            Outcome(image, Answer(image.path.name, 64, 64, (0.5, 0.5))),
            Verdict((), (0, 1), None, "", 0.5),
        )
        for image in make_images(LEAST)
    ]
    features = {image.path.name: np.zeros(4, np.float32) for image in make_images(LEAST - 1)}
    assert draw_map(rows, features) is None
