"""What is kept between the regions of a slide."""

from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.errors import UnsupportedSlideError
from wsi_pipeline.geometry import Region
from wsi_pipeline.run.resources import Resources
from wsi_pipeline.slide import open_slide
from wsi_pipeline.testing import ArraySlide, write_pyramid


def test_a_slide_that_is_open_is_read_by_regions(tmp_path: Path) -> None:
    resources, slide = Resources(), ArraySlide([np.zeros((160, 320, 3), np.uint8)])
    path = tmp_path / "a.tiff"  # there is no such file: nobody opens it
    resources.hold(path, slide)
    assert resources.reader(path) is slide
    resources.forget(path)
    with pytest.raises(UnsupportedSlideError, match="no such file"):
        resources.reader(path)


def test_bytes_are_told_of_once(tmp_path: Path) -> None:
    resources, path = Resources(), tmp_path / "a.tiff"
    assert resources.newly_read(path) == 0
    write_pyramid(path, np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8))
    slide = open_slide(path)
    slide.read(Region(0, 0, 0, 50, 50))
    before = slide.bytes_read
    assert before
    resources.hold(path, slide)
    assert resources.newly_read(path) == 0  # finding tissue is not part of it
    slide.read(Region(0, 0, 0, 400, 300))
    assert resources.newly_read(path) == slide.bytes_read - before
    assert resources.newly_read(path) == 0
