"""A synthetic slide says so itself, in every format; nobody else's file is taken for one."""

from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.slide.synthetic import declares_synthetic
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide
from wsi_pipeline.synth.spec import SlideFormat
from wsi_pipeline.testing import write_pyramid


@pytest.mark.parametrize("form", ["tiff", "svs-like"])
def test_drawn_slides_say_so(tmp_path: Path, form: SlideFormat) -> None:
    spec = SynthSpec(parse_size("512x512"), tumour=0.0, format=form)
    slide = write_slide(spec, tmp_path / f"renamed{spec.suffix}")
    assert declares_synthetic(slide.path)


def test_other_files_do_not(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tiff", np.zeros((64, 64, 3), np.uint8))
    assert not declares_synthetic(tmp_path / "a.tiff")
    (tmp_path / "b.txt").write_text("wsi-pipeline synthetic slide")
    assert not declares_synthetic(tmp_path / "b.txt")
    assert not declares_synthetic(tmp_path / "missing.tiff")
    (tmp_path / "c.tiff").write_bytes(b"II*\0\xff\xff\xff\x7f")
    assert not declares_synthetic(tmp_path / "c.tiff")
