"""What a result says of itself is read once, checked, and written as it was read."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsi_pipeline.errors import ResultError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.notice import SYNTHETIC
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.alarm import Alarm
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.stitch.record import ControlsRecord, Record, read_record, read_seal
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import Coverage

STORE = Path("a.zarr")


@pytest.fixture
def record() -> Record:
    levels = (Level(Size(100, 60), 1.0), Level(Size(50, 30), 2.0))
    grid = Grid(1, levels[1].size, 2.0, 1.0, 10, 10, Mpp(0.5, 0.25))
    probability = np.linspace(0, 1, 15, dtype=np.float32).reshape(3, 5)
    probability[0, 0] = np.nan
    coverage = np.where(np.isnan(probability), Coverage.GLASS, Coverage.CLASSIFIED)
    made = make_record(grid, levels, Cells(probability, coverage.astype(np.uint8)))
    controls = ControlsRecord(cells=((0, 0), (1, 0)), probabilities=(0.25, None))
    return dataclasses.replace(
        made, controls=controls, alarms=(Alarm("one-valued", "why"),), warnings=("odd",)
    )


def test_what_is_written_is_read(record: Record) -> None:
    attributes = json.loads(json.dumps(record.to_json()))
    again = read_record(attributes, STORE)
    assert again == record
    assert again.to_json() == attributes
    assert again.slide.size == Size(100, 60)
    assert again.slide.analysed.size == Size(50, 30)
    assert again.grid.mpp == Mpp(1.0, 0.5)


def test_other_attributes_do_not_count(record: Record) -> None:
    """A newer version, or another program, may say more."""
    attributes = record.to_json() | {"more": 1, "digest": "00"}
    attributes["slide"]["more"] = {}
    assert read_record(attributes, STORE) == record


def test_the_oldest_results_are_read(record: Record) -> None:
    attributes = record.to_json() | {"alarms": ["3 cells of tissue could not be read"]}
    for name in ("controls", "colours", "slide_answer"):
        del attributes[name]
    del attributes["slide"]["mpp_file"], attributes["model"]["mpp"], attributes["model"]["notice"]
    attributes["model"]["synthetic"] = True
    old = read_record(attributes, STORE)
    assert old.alarms == (Alarm("unreadable-tissue", "3 cells of tissue could not be read"),)
    missing = (old.controls, old.colours, old.slide_answer, old.slide.mpp_file, old.model.mpp)
    assert missing == (None,) * 5
    assert old.model.notice == SYNTHETIC


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda told: told.pop("slide_score"), "slide_score"),
        (lambda told: told["slide"].pop("levels"), "slide.levels"),
        (lambda told: told["slide"]["levels"][1].update(width="50"), "slide.levels.1.width"),
        (lambda told: told["slide"].update(level=2), "slide"),
        (lambda told: told["slide"].update(mpp={"x": 0.5, "y": -1}), "slide.mpp"),
        (lambda told: told.update(tiles=1.5), "tiles"),
        (lambda told: told.update(threshold="0.5"), "threshold"),
        (lambda told: told.update(alarms="none"), "alarms"),
        (lambda told: told["counts"].pop("glass"), "counts.glass"),
        (lambda told: told.update(model=None), "model"),
    ],
)
def test_a_field_that_is_missing_or_odd_is_named(
    record: Record, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    attributes = record.to_json()
    change(attributes)
    with pytest.raises(ResultError, match=rf"^a\.zarr: its attribute {named} is not"):
        read_record(attributes, STORE)


def test_hashes_are_checked_too() -> None:
    sound = {"format": 1, "arrays": {"0": "ab"}, "metadata": {}, "digest": "cd"}
    assert read_seal(sound, STORE).arrays == {"0": "ab"}
    with pytest.raises(ResultError, match=r"its attribute arrays\.0 is not"):
        read_seal(sound | {"arrays": {"0": 1}}, STORE)
