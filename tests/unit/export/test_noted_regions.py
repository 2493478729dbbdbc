"""Notes get into the lines of a file of regions, and nothing else changes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from geojson_support import check_qupath
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.noted_regions import DESCRIPTION, RegionNote, metadata_of, with_notes
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]
AT = datetime(2026, 3, 4, 5, 6, 7, 890000, UTC)


def note(comment: str = "", verdict: str | None = None, author: str = "Ann") -> RegionNote:
    return RegionNote(author, verdict, comment, AT)


def written(make_result: MakeResult, path: Path, regions: int) -> list[str]:
    tiles = np.zeros((7, 10), np.float32)
    tiles[0, : 2 * regions : 2] = 0.9
    write_geojson(make_result(tiles), path)
    lines = path.read_text().splitlines(keepends=True)
    assert len(json.loads("".join(lines))["features"]) == regions
    return lines


def test_a_file_without_regions_stays(make_result: MakeResult, tmp_path: Path) -> None:
    lines = written(make_result, tmp_path / "a.geojson", 0)
    assert list(with_notes(lines, {1: [note("x")]})) == lines


def test_first_middle_and_last_region(make_result: MakeResult, tmp_path: Path) -> None:
    lines = written(make_result, tmp_path / "a.geojson", 5)
    for numbers in ({1}, {3}, {5}, {1, 2, 3, 4, 5}, set[int]()):
        found = list(with_notes(lines, {number: [note("so")] for number in numbers}))
        features = json.loads("".join(found))["features"]
        check_qupath(json.loads("".join(found)))
        told = {
            int(feature["properties"]["name"].split()[1])
            for feature in features
            if "metadata" in feature["properties"]
        }
        assert told == numbers
        unchanged = [i for i in range(len(lines)) if i not in numbers]
        assert [found[i] for i in unchanged] == [lines[i] for i in unchanged]


@given(text=st.text(max_size=60))
def test_any_text_arrives(text: str) -> None:
    line = '{"type": "Feature", "properties": {}},\n'
    (head, found) = with_notes(["[\n", line], {1: [note(text)]})
    assert head == "[\n"
    assert found.count("\n") == 1
    assert found.endswith(",\n")
    metadata = json.loads(found[:-2])["properties"]["metadata"]
    assert metadata["Note 1"] == metadata[DESCRIPTION]
    assert metadata["Note 1"] == f"Ann, 2026-03-04T05:06:07+00:00: {text}"


def test_what_metadata_say() -> None:
    notes = [note("a fold", "disagree"), note("", "agree", "Ben"), note("who knows")]
    assert metadata_of(notes) == {
        "Agree": "1",
        "Disagree": "1",
        "Note 1": "Ann, 2026-03-04T05:06:07+00:00: Disagree. a fold",
        "Note 2": "Ben, 2026-03-04T05:06:07+00:00: Agree",
        "Note 3": "Ann, 2026-03-04T05:06:07+00:00: who knows",
        DESCRIPTION: (
            "Ann, 2026-03-04T05:06:07+00:00: Disagree. a fold\n"
            "Ben, 2026-03-04T05:06:07+00:00: Agree\n"
            "Ann, 2026-03-04T05:06:07+00:00: who knows"
        ),
    }
