"""Exports carry the answer for the slide where a fit gave one, and stay as they are without."""

import json
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.client.records import JobRecord
from wsi_pipeline.export.findings import find
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.heatmap import _state
from wsi_pipeline.export.table import tile_table
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing.slide_maps import made_up_answer, write_map_result


@pytest.fixture
def results(tmp_path: Path) -> tuple[Result, Result]:
    """One with an answer and one without."""
    probability = np.full((5, 6), 0.2, np.float32)
    probability[2, 2:4] = 0.9
    answer = made_up_answer("suspicious", 0.8)
    return (
        write_map_result(tmp_path, "a", probability, answer=answer),
        write_map_result(tmp_path, "b", probability),
    )


def test_the_answer_is_in_findings_and_headers(
    results: tuple[Result, Result], tmp_path: Path
) -> None:
    fitted, plain = results
    told = find(fitted).slide_answer
    assert told is not None
    assert (told["state"], told["probability"], told["rule"]["clear_below"]) == (
        "suspicious",
        0.8,
        0.3,
    )
    assert find(plain).slide_answer is None
    for result, there in ((fitted, True), (plain, False)):
        path = tmp_path / f"{result.name}.geojson"
        write_geojson(result, path)
        about = json.loads(path.read_text())["wsi_pipeline"]
        assert ("slide_answer" in about) == there
        metadata = tile_table(result).schema.metadata
        assert (b'"state": "suspicious"' in metadata[b"wsi_pipeline"]) == there
    assert _state(fitted) == " (0.700–0.900), suspicious"
    assert _state(plain) == ""
    assert fitted.slide_score == 0.8


def test_the_client_tells_of_it(results: tuple[Result, Result]) -> None:
    told = {
        "id": "j",
        "slide_id": "s",
        "model": "m",
        "state": "succeeded",
        "tiles": {"done": 1, "total": 1},
        "attempts": 0,
        "findings": find(results[0]).to_json(),
    }
    answer = JobRecord.of(told).slide_answer
    assert answer is not None
    assert answer["state"] == "suspicious"
    assert JobRecord.of({**told, "findings": None}).slide_answer is None
