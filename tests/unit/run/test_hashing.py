"""The mask is hashed from the top as far as no tile waits, while others are classified."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import hashing as module
from wsi_pipeline.run import regions
from wsi_pipeline.run.hashing import MaskHashing
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.profile import Profile
from wsi_pipeline.run.regions import Region
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.mask import DrawnLevel, LevelHash
from wsi_pipeline.stitch.verification import verify

PATCH = 10
LEVEL = Level(Size(55, 78), 1.0)
GRID = Grid(0, LEVEL.size, 1.0, 1.0, PATCH, PATCH, Mpp(0.5, 0.5))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_PX", 1)
    monkeypatch.setattr(module, "_LEAST_SHARE", 0)


def region(index: int, *rows: int) -> Region:
    cells = np.array([(column, row) for row in rows for column in range(6)], np.int64)
    return Region(index, cells, cells[:0], 0, 0)


class Labels:
    """Labels of all cells; counts how often they were asked for."""

    def __init__(self) -> None:
        self.values = np.random.default_rng(1).integers(0, 2, (8, 6), np.uint8)
        self.asked = 0

    def __call__(self) -> NDArray[np.uint8]:
        self.asked += 1
        return self.values


def drawn(labels: Labels) -> DrawnLevel:
    return DrawnLevel(labels.values, GRID.column_edges(1.0, 55), GRID.row_edges(1.0, 78))


def hashed_rows(level: LevelHash) -> int:
    return len(level._rows)


def test_rows_above_the_first_that_waits_are_hashed() -> None:
    labels = Labels()
    with MaskHashing(GRID, LEVEL, [region(0, 2, 3), region(1, 4), region(2, 5)], labels) as hashing:
        hashing.answered(1)
        assert labels.asked == 1  # the first two rows have no tiles
        hashing.answered(0)
        ahead = hashing.done()
    assert hashed_rows(ahead) == 5
    assert drawn(labels).sha256(lambda: ahead) == drawn(labels).sha256()


def test_controls_and_the_last_region_ask_for_nothing() -> None:
    labels = Labels()
    controls = Region(1, np.array([[0, 0]], np.int64), np.empty((0, 2), np.int64), None, 0)
    with MaskHashing(GRID, LEVEL, [region(0, 2), controls], labels) as hashing:
        hashing.answered(0)
        hashing.answered(1)
        assert hashed_rows(hashing.done()) == labels.asked == 0


def test_a_few_rows_are_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_PX", 10**6)
    labels = Labels()
    with MaskHashing(GRID, LEVEL, [region(0, 2), region(1, 7)], labels) as hashing:
        hashing.answered(0)
        assert hashed_rows(hashing.done()) == labels.asked == 0


def test_rows_of_maps_are_counted_in_cells() -> None:
    grid = Grid(0, Size(80, 80), 1.0, 1.0, 40, 40, Mpp(0.5, 0.5), cell=10)
    values = np.zeros((8, 8), np.uint8)
    regions = [region(0, 0), region(1, 1)]
    with MaskHashing(grid, Level(Size(80, 80), 1.0), regions, lambda: values) as hashing:
        hashing.answered(0)
        assert hashed_rows(hashing.done()) == 4


def test_an_error_while_hashing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(LevelHash, "add", fails)
    with MaskHashing(GRID, LEVEL, [region(0, 1), region(1, 7)], Labels()) as hashing:
        hashing.answered(0)
        with pytest.raises(MemoryError):
            hashing.done()


@pytest.mark.parametrize("stride", [64, 40])
def test_a_result_hashed_ahead_is_sound(
    make_slide: Callable[..., Path],
    make_work: Callable[..., Work],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stride: int,
) -> None:
    monkeypatch.setattr(regions, "REGION_TILES", 8)
    profile = Profile()
    work = make_work(mpp=0.5, stride=stride)
    work = Work(work.package, work.analysis, work.runtime, work.scheduler, profile)
    prepared = prepare(make_slide(), work.package, work.analysis)
    final = tmp_path / "a.zarr"
    analyse_slide(prepared, final, work)
    assert any(span.name == "hash the mask" for span in profile.spans)
    labels = np.unique(np.asarray(verify(final).mask(0)[...]))
    assert len(labels) == 2  # tumour and not
