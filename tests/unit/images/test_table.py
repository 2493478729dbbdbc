"""The table says everything, and gives the very answers back to the next run."""

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from wsi_pipeline.errors import ResultError
from wsi_pipeline.images.classification import Answer, Outcome
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.table import CSV, PARQUET, Row, earlier_answers, write_tables
from wsi_pipeline.images.verdict import Verdict

KEY = {"name": "m 1", "model": "abc", "runtime": "torch/cpu/fp32"}
NAMES = ("a", "b", "c")
ROWS = [
    Row(
        Outcome(
            LabelledImage(Path("x/1.png"), "b", "patient 1", "here"),
            Answer("1" * 64, 30, 40, (0.1, 0.1 + 0.2, 0.6), ("dark", "small")),
        ),
        Verdict(("c",), (2, 1, 0), ("c", "b"), "may be c or b", 0.5),
        "explanations/1.png",
    ),
    Row(Outcome(LabelledImage(Path("x/2, y.png")), error="x/2, y.png: is empty"), None),
    Row(
        Outcome(LabelledImage(Path("x/3.png")), Answer("3" * 64, 1, 1, (1.0, 0.0, 0.0))),
        Verdict(("a",), (0, 1, 2), None, "", 0.5),
    ),
]


def test_both_files_say_the_same(tmp_path: Path) -> None:
    write_tables(tmp_path, ROWS, NAMES, 2, KEY)
    rows = pq.read_table(tmp_path / PARQUET).to_pylist()
    assert [row["state"] for row in rows] == ["done", "failed", "done"]
    first = rows[0]
    assert first["set"] == ["c", "b"]
    assert first["review"] is True
    assert (first["class_1"], first["probability_1"]) == ("c", 0.6)
    assert (first["class_2"], first["p_a"]) == ("b", 0.1)
    assert "class_3" not in first
    assert rows[1]["error"] == "x/2, y.png: is empty"
    assert rows[2]["review"] is None
    text = (tmp_path / CSV).read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    assert [line["image"] for line in lines] == ["x/1.png", "x/2, y.png", "x/3.png"]
    assert lines[0]["review"] == "yes"
    assert lines[0]["set"] == "c; b"
    assert lines[0]["p_b"] == "0.3"
    assert lines[0]["warnings"] == "dark; small"
    assert lines[2]["review"] == ""


def test_the_next_run_gets_the_very_answers(tmp_path: Path) -> None:
    assert earlier_answers(tmp_path, KEY) == ({}, [])
    write_tables(tmp_path, ROWS, NAMES, 9, KEY)
    answers, images = earlier_answers(tmp_path, KEY)
    assert answers == {one.sha256: one for row in ROWS if (one := row.outcome.answer)}
    assert images == ["x/1.png", "x/2, y.png", "x/3.png"]


def test_another_models_table_is_not_continued(tmp_path: Path) -> None:
    write_tables(tmp_path, ROWS, NAMES, 2, KEY)
    with pytest.raises(ResultError, match=r"made with m 1 abc on torch/cpu/fp32, not with m 2 d"):
        earlier_answers(tmp_path, {**KEY, "name": "m 2", "model": "d"})


def test_a_damaged_table_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / PARQUET).write_bytes(b"no table")
    assert earlier_answers(tmp_path, KEY) == ({}, [])
    assert "made again" in caplog.text
