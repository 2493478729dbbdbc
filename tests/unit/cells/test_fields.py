"""Which files are fields, and what is kept of them."""

from pathlib import Path

import pytest

from wsi_pipeline.cells.fields import (
    CellRecord,
    FieldRecord,
    find_fields,
    keep,
    kept,
    key_of,
)
from wsi_pipeline.cells.finder import Box


def test_files_folders_and_patterns_with_distinct_names(tmp_path: Path) -> None:
    drawn = ("fields/c.png", "out/fields/c.png", "out/measured/c-001.png")
    for name in ("a.png", "a.bmp", "sub/b.jpg", "sub/._b.jpg", "notes.txt", "moving.gif", *drawn):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    other = tmp_path / "b.jpg"
    other.touch()
    folder = tmp_path / "in"
    given = [str(folder), str(folder / "a.*"), str(other), str(tmp_path / "none"), "no*thing"]
    found = find_fields(given, folder / "out")
    assert {one.name: one.path.name for one in found.fields} == {
        "a.bmp": "a.bmp",
        "a.png": "a.png",
        "sub/b": "b.jpg",
        "b": "b.jpg",
        # Refused when it is read, and so named.
        "moving": "moving.gif",
        "fields/c": "c.png",
    }
    # Results may lie beside the fields.
    beside = find_fields([str(folder)], folder).fields
    assert {one.path.parent for one in beside} == {
        folder,
        folder / "sub",
        folder / "out/fields",
        folder / "out/measured",
    }
    assert [problem.split(": ")[1] for problem in found.problems] == [
        "no such file or folder",
        "no file matches this pattern",
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "without images" in find_fields([str(empty)], tmp_path / "out").problems[0]


@pytest.mark.parametrize("members", [None, (), ("x", "y")])
def test_what_is_kept_comes_back_equal(tmp_path: Path, members: tuple[str, ...] | None) -> None:
    cell = CellRecord(1, "WBC", Box(1, 2, 3, 4.5), True, "x", (0.75, 0.25), members, {"lobes": 2.0})
    record = FieldRecord("in/a.png", "a", 20, 10, 5.5, (cell,), ("dark",))
    path = tmp_path / "fields" / "a.json"
    key = key_of(b"content", {"finder": "one"})
    keep(path, key, record)
    assert kept(path, key) == record
    assert cell.review is (None if members is None else True)


def test_nothing_is_kept_of_another_content_other_settings_or_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    key = key_of(b"content", {"finder": "one"})
    assert kept(path, key) is None
    keep(path, key, FieldRecord("a.png", "a", 20, 10, 5.5, ()))
    assert kept(path, key_of(b"other", {"finder": "one"})) is None
    assert kept(path, key_of(b"content", {"finder": "two"})) is None
    path.write_text(path.read_text()[:-20])
    assert kept(path, key) is None
