"""A slide with a wrong colour label is analysed as the same slide with the right one, or not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from wsi_pipeline.grid import make_grid
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.summary import outcome_of, write_summary
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing.sections import draw_section, write_labelled_jpeg
from wsi_pipeline.tiles.plan import Plan, make_plan

MakeWork = Callable[..., Work]


def test_a_corrected_slide_has_the_same_result_and_an_alarm(
    tmp_path: Path, make_work: MakeWork
) -> None:
    section = draw_section(size=(640, 512))
    work = make_work()
    results: dict[str, Result] = {}
    tags: dict[str, Literal["rgb", "ycbcr"]] = {"right": "ycbcr", "wrong": "rgb"}
    for name, tag in tags.items():
        slide = tmp_path / f"{name}.tiff"
        write_labelled_jpeg(slide, section, tag=tag, stored="YCBCR", subsampled=True)
        result = tmp_path / f"{name}.zarr"
        results[name] = analyse_slide(prepare(slide, work.package, work.analysis), result, work)
    right, wrong = results["right"], results["wrong"]
    assert np.array_equal(wrong.probability, right.probability, equal_nan=True)
    assert np.array_equal(wrong.coverage, right.coverage)
    assert right.attributes["slide"]["colours_corrected"] == ""
    raised = {alarm.code for alarm in wrong.alarms} - {alarm.code for alarm in right.alarms}
    assert raised == {"colours-corrected"}
    row = outcome_of(tmp_path / "wrong.tiff", wrong, tmp_path, "done", 1.0)
    write_summary(tmp_path, [row], [])
    (told,) = json.loads((tmp_path / "summary.json").read_text())["slides"]
    assert "colours-corrected" in told["alarms"]
    assert "the file's tag says RGB, the JPEG data are YCbCr (by JFIF marker" in told["warnings"]


def plan_of(path: Path) -> Plan:
    """Tiles of 299 px at 0.25 µm/px, as most models of lymph nodes want them."""
    reader = open_slide(path)
    resolution = choose_resolution(reader.info, mpp=0.25, level=None, override=None)
    grid = make_grid(reader.info, resolution, patch=299, stride=299)
    return make_plan(reader, grid, min_tissue=0.3, exact=False, threads=2)


@pytest.mark.parametrize("name", ["dicom-wrong-photometric", "cmu-1-small-region.svs"])
def test_the_real_slide_has_the_same_tissue_under_both_labels(data: Path, name: str) -> None:
    plan = plan_of(data / "slides" / name)
    assert plan.coverage.size == 300
    assert len(plan) == 119
