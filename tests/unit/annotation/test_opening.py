"""Any truth through one door, and only on its own slide."""

import pickle
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from wsi_pipeline.annotation import TruthKind, open_truth
from wsi_pipeline.errors import AnnotationError, UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.testing.annotations import square, write_asap

SLIDE = Size(100, 80)


@pytest.mark.parametrize("corner", [(-5, 0), (0, -5), (95, 0), (0, 75), (500, 500), (-500, -500)])
def test_tumour_beyond_the_slide_is_refused(tmp_path: Path, corner: tuple[float, float]) -> None:
    path = write_asap(tmp_path / "a.xml", square(*corner))
    with pytest.raises(AnnotationError, match="outside the slide of 100 × 80 px"):
        open_truth(path, "asap", SLIDE)
    assert open_truth(path, "asap").bounds is not None  # nothing to hold it against


@pytest.mark.parametrize("corner", [(0, 0), (90, 70), (-0.6, -0.6), (90.7, 70.7)])
def test_tumour_up_to_the_edge_is_taken(tmp_path: Path, corner: tuple[float, float]) -> None:
    path = write_asap(tmp_path / "a.xml", square(*corner))
    truth = open_truth(path, "asap", SLIDE)
    assert truth.kind == "asap"
    assert truth.window(corner[0], corner[1], 10, 10, 1).all()


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    for kind in ("mask-3", "xml", ""):
        with pytest.raises(UsageError, match="there is no kind of annotation or mask called"):
            open_truth(tmp_path / "a.xml", cast("TruthKind", kind))


def test_outlines_travel_between_processes(tmp_path: Path) -> None:
    truth = open_truth(write_asap(tmp_path / "a.xml", square(3, 4)), "asap", SLIDE)
    again = pickle.loads(pickle.dumps(truth))
    np.testing.assert_array_equal(again.window(0, 0, 40, 30, 1), truth.window(0, 0, 40, 30, 1))
    assert again.bounds == (3, 4, 13, 14)
