"""Each alarm: a slide that raises it, and one, otherwise alike, that does not."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.geometry import Mpp
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import regions
from wsi_pipeline.run.alarms import LEAST_AREA_MM2, find_alarms
from wsi_pipeline.run.checkpoint import Checkpoint
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.shift_alarms import FAR_COLOURS
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.record import CountsRecord, read_record
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import FakePredictor, make_stub_package, red_share, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR

MakeWork = Callable[..., Work]
GLASS = (226, 240, 250)
#: At 0.5 µm/px its tissue is 0.36 mm².
SIZE = (1024, 1664)
TISSUE = 1408


@pytest.fixture(scope="module")
def real_tissue_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A package that says it was trained on real tissue."""
    return make_stub_package(
        tmp_path_factory.mktemp("models") / "stub", training={"data": "slides", "synthetic": False}
    )


@pytest.fixture
def analyse(
    tmp_path: Path, make_work: MakeWork, real_tissue_package: ModelPackage
) -> Callable[..., Result]:
    """Draws a slide, analyses it and gives the result."""

    def make(
        *,
        normal: tuple[int, int, int] = NORMAL_COLOUR,
        tumour: tuple[int, int, int] = TUMOUR_COLOUR,
        glass: tuple[int, int, int] = GLASS,
        mpp: float = 0.5,
        height: int = SIZE[0],
        damaged: bool = False,
        package: ModelPackage | None = None,
        final: Path | None = None,
        **settings: object,
    ) -> Result:
        image = np.full((height, SIZE[1], 3), glass, np.float64)
        image[:, :TISSUE] = normal
        image[:, :256] = tumour
        image += np.random.default_rng(5).normal(0, 4, image.shape)
        slide = tmp_path / "slide.tiff"
        write_pyramid(slide, image.clip(0, 255).astype(np.uint8), mpp=mpp, downsamples=(1, 2, 4, 8))
        if damaged:
            damage(slide)
        work = dataclasses.replace(make_work(**settings), package=package or real_tissue_package)
        return analyse_slide(
            prepare(slide, work.package, work.analysis), final or tmp_path / "a.zarr", work
        )

    return make


def damage(slide: Path) -> None:
    """Make one tile of level 0, all tissue, undecodable."""
    with tifffile.TiffFile(slide) as tiff:
        page = tiff.pages.first
        index = 5 * -(-page.imagewidth // page.tilewidth) + 5
        offset, count = page.dataoffsets[index], page.databytecounts[index]
    data = bytearray(slide.read_bytes())
    data[offset : offset + count] = bytes(count)
    slide.write_bytes(data)


def codes(result: Result) -> set[str]:
    return {alarm.code for alarm in result.alarms}


def test_a_sound_result_raises_none(analyse: Callable[..., Result]) -> None:
    result = analyse()
    assert result.alarms == ()
    facts = result.attributes
    assert facts["tissue_area_mm2"] > LEAST_AREA_MM2
    assert len(facts["controls"]["cells"]) == 8
    assert facts["controls"]["probabilities"] == [0.0] * 8
    assert all(column * 64 >= TISSUE for column, _ in facts["controls"]["cells"])
    assert facts["colours"]["tiles"] == 64
    assert facts["colours"]["distance"] < FAR_COLOURS
    assert facts["colours"]["training"]["patches"] == 16


def test_controls_are_in_no_array_and_no_count(analyse: Callable[..., Result]) -> None:
    result = analyse()
    for column, row in result.attributes["controls"]["cells"]:
        assert np.isnan(result.probability[row, column])
        assert result.coverage[row, column] == 2
    assert len(result.tile_table()["x"]) == result.attributes["tiles"] == 22 * 16
    assert result.attributes["counts"]["classified"] == 22 * 16


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        # The model tells tumour by its red: it sees it in warm glass too.
        ({"glass": (246, 242, 238)}, "tumour-on-glass"),
        ({"tumour": NORMAL_COLOUR}, "one-valued"),
        # To quality control a green slide is one under green ink.
        (
            {"normal": (90, 150, 80), "tumour": (120, 150, 80), "qc": "off"},
            "unlike-training",
        ),
        ({"slide_mpp": 1.0}, "implausible-mpp"),
        ({"mpp": 2.0, "level": 0}, "implausible-mpp"),
        ({"level": 1}, "implausible-mpp"),
        ({"height": 768}, "too-few-tiles"),
        ({"damaged": True, "allow_unreadable": 0.1}, "unreadable-tissue"),
    ],
)
def test_what_is_wrong_is_told(
    analyse: Callable[..., Result], settings: dict[str, Any], code: str
) -> None:
    found = analyse(**settings).alarms
    assert [alarm.code for alarm in found] == [code]
    assert len(found[0].message) > 20
    assert "\n" not in found[0].message


@pytest.mark.parametrize(
    "settings",
    [
        {"glass": (232, 232, 246)},
        {"tumour": (150, 75, 149)},  # between both colours: some px are red
        {"normal": (116, 95, 186)},
        {"slide_mpp": 0.6},
        {"mpp": 0.6},
        {"height": 832},
        {"damaged": False, "allow_unreadable": 0.1},
    ],
)
def test_what_is_nearly_so_is_not(analyse: Callable[..., Result], settings: dict[str, Any]) -> None:
    assert codes(analyse(**settings)) == set()


def test_a_level_far_from_the_model_names_both(analyse: Callable[..., Result]) -> None:
    result = analyse(level=2)
    (alarm,) = result.alarms
    assert "analysed at 2 µm/px" in alarm.message
    assert "made for 0.5 µm/px" in alarm.message
    # A package may state a level instead: there is a resolution to it on this slide.
    record, cells = result.record, result.probability
    for level, told in ((0, "made for pyramid level 0 (0.5 µm/px here)"), (2, None), (9, None)):
        of_level = dataclasses.replace(
            record, model=dataclasses.replace(record.model, mpp=None, level=level)
        )
        messages = [alarm.message for alarm in find_alarms(of_level, cells)]
        assert bool(messages) == bool(told)
        assert all(f"analysed at 2 µm/px; the model was {told}" in text for text in messages)
    # Two reasons at once: neither hides the other.
    slide = dataclasses.replace(record.slide, mpp=Mpp(2.0, 2.0), mpp_source="override")
    (alarm,) = find_alarms(dataclasses.replace(record, slide=slide), cells)
    assert "the file states 0.5 µm/px" in alarm.message
    assert "made for 0.5 µm/px" in alarm.message


def test_a_model_of_synthetic_tissue_is_named(
    analyse: Callable[..., Result], stub_package: ModelPackage
) -> None:
    assert codes(analyse(package=stub_package)) == {"synthetic-model"}


def test_the_threshold_decides_what_is_tumour_on_glass(
    analyse: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pale_glass_is_doubtful(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        glass = patches.mean(axis=(1, 2, 3)) > 200
        return np.where(glass, np.float32(0.3), red_share(patches)).astype(np.float32)

    def load(*_: object, **__: object) -> FakePredictor:
        return FakePredictor(pale_glass_is_doubtful, patch_px=64)

    monkeypatch.setattr(loaded, "load_predictor", load)
    assert codes(analyse(final=tmp_path / "half.zarr")) == set()
    strict = analyse(final=tmp_path / "strict.zarr", threshold=0.3)
    assert codes(strict) == {"tumour-on-glass"}
    assert "8 of 8" in strict.alarms[0].message


def test_a_slide_without_glass_has_no_controls(
    analyse: Callable[..., Result],
) -> None:
    result = analyse(glass=NORMAL_COLOUR)
    assert result.attributes["controls"] == {"cells": [], "probabilities": []}
    assert codes(result) == {"no-background"}
    assert "none of the 416 scanned cells is glass" in result.alarms[0].message


def test_a_result_is_judged_by_its_counts_and_its_slide(analyse: Callable[..., Result]) -> None:
    result = analyse()
    record = result.record
    nothing = dict.fromkeys(dataclasses.asdict(record.counts), 0)

    def found(colours_corrected: str = "", **counts: int) -> list[str]:
        slide = dataclasses.replace(record.slide, colours_corrected=colours_corrected)
        cells = CountsRecord(**nothing | counts) if counts else record.counts
        judged = dataclasses.replace(record, counts=cells, slide=slide)
        return [alarm.code for alarm in find_alarms(judged, result.probability)]

    assert found(classified=16) == ["no-background"]
    assert found(classified=9, rejected=7, empty=100) == ["no-background"]
    assert found(glass=16, empty=5) == ["no-background"]
    assert found(classified=15) == found(glass=15) == found(classified=200, glass=1) == []
    assert found(glass=200, classified=1) == found(glass=200, rejected=1) == found(empty=90) == []
    assert found("the tag says RGB") == ["colours-corrected"]
    facts = result.attributes
    del facts["slide"]["colours_corrected"]
    earlier = read_record(facts, Path("earlier.zarr"))
    assert find_alarms(earlier, result.probability) == [], "an earlier version says nothing of it"


def test_interrupted_and_resumed_everything_is_the_same(
    analyse: Callable[..., Result],
    fake: FakePredictor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Also controls and colours, whatever was finished when the run was stopped."""
    monkeypatch.setattr(regions, "REGION_TILES", 32)
    whole = analyse(final=tmp_path / "whole.zarr")
    saved, final = Checkpoint.save, tmp_path / "stopped.zarr"
    kept: set[int] = set()
    for stop_after in (4, 11):

        def save_some(
            self: Checkpoint,
            index: int,
            values: NDArray[np.float32],
            stop_after: int = stop_after,
        ) -> None:
            if len(kept) == stop_after:
                raise KeyboardInterrupt
            kept.add(index)
            saved(self, index, values)

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "save", save_some)
            with pytest.raises(KeyboardInterrupt):
                analyse(final=final)
    # 11 regions are of tiles, the twelfth is of the controls; they end in any order.
    (left,) = set(range(12)) - kept
    controls_left = left == 11
    fake.batches.clear()
    resumed = analyse(final=final)
    assert resumed.attributes["timings"]["resumed_tiles"] == (11 if controls_left else 10) * 32
    assert sum(fake.batches) == (8 if controls_left else 32), "only one region was left"
    without = ("timings", "digest")
    one, other = (
        {key: value for key, value in result.attributes.items() if key not in without}
        for result in (whole, resumed)
    )
    assert one == other


def test_controls_cost_at_most_eight_tiles(
    analyse: Callable[..., Result], fake: FakePredictor
) -> None:
    tiles = analyse().attributes["tiles"]
    assert sum(fake.batches) == tiles + 8
