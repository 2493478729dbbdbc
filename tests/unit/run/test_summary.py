"""The table says the same to people and to machines."""

import csv
import json
from pathlib import Path

from wsi_pipeline.run.summary import Outcome, write_summary

OUTCOMES = [
    Outcome("/s/a.svs", "done", result="a.zarr", slide_score=0.75, tiles=10, warnings="odd; very"),
    Outcome("/s/b, the second.svs", "skipped", result="b.zarr", tumour_area_mm2=1.5),
    Outcome("/s/ç.svs", "failed", '/s/ç.svs: "quoted", with a comma'),
]


def test_both_tables_agree(tmp_path: Path) -> None:
    write_summary(tmp_path, OUTCOMES, [Path("/s/notes.txt")])
    facts = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert (facts["done"], facts["skipped"], facts["failed"]) == (1, 1, 1)
    assert facts["ignored"] == ["/s/notes.txt"]
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row, fact in zip(rows, facts["slides"], strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in fact.items()}


def test_a_new_table_replaces_the_old_one_whole(tmp_path: Path) -> None:
    write_summary(tmp_path, OUTCOMES, [])
    write_summary(tmp_path, OUTCOMES[:1], [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["summary.csv", "summary.json"]
    assert len((tmp_path / "summary.csv").read_text(encoding="utf-8").splitlines()) == 2
