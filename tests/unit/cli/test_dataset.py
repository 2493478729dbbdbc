"""``wsi dataset`` as a user meets it: tables, masks, exit codes, nothing half done."""

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.annotations import square, write_asap

Wsi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wsi(wsi: Wsi) -> Wsi:
    """Runs ``wsi dataset``: exit code, standard output, standard error."""
    return partial(wsi, "dataset")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four patients with a normal and a tumour slide each."""
    rng = np.random.default_rng(4)
    for patient in range(4):
        for kind in ("n", "t"):
            path = tmp_path / "data" / f"P{patient}" / f"s{patient}{kind}.tiff"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_pyramid(path, rng.integers(0, 255, (256, 384, 3), np.uint8), tile=64)
            write_asap(path.with_suffix(".xml"), *([square(64, 32, 100)] if kind == "t" else []))
    return tmp_path / "data"


def indexed(wsi: Wsi, folder: Path) -> Path:
    table = folder.parent / "cohort.csv"
    options = ["--labels-from", "annotation", "--patient-from", "^P[0-9]", "--centre", "west"]
    code, out, err = wsi("index", folder, "-o", table, *options)
    assert (code, err) == (0, "")
    assert "8 slides in" in out
    return table


def test_a_folder_becomes_a_table_and_the_table_a_split(wsi: Wsi, folder: Path) -> None:
    table = indexed(wsi, folder)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["slide"] for row in rows][:2] == ["s0n", "s0t"]
    assert {(row["label"], row["annotation"]) for row in rows} == {
        ("normal", "full"),
        ("tumour", "full"),
    }
    assert rows[0]["slide_path"] == "data/P0/s0n.tiff"
    code, out, _ = wsi("split", table, "--validation", "0.25", "--test", "0.25", "--json")
    assert code == 0
    facts = json.loads(out)
    assert {part["split"]: part["patients"] for part in facts["parts"]} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    code, out, _ = wsi("show", table, "--check")
    assert code == 0
    assert "8 slides and their annotations are valid" in out
    assert "validation" in out


def test_show_lists_the_slides_of_a_split(wsi: Wsi, folder: Path) -> None:
    table = indexed(wsi, folder)
    code, _, err = wsi("show", table, "--paths", "test")
    assert code == 2
    assert "no slides in the split test" in err
    assert wsi("split", table, "--validation", "0.25", "--test", "0.25")[0] == 0
    code, out, _ = wsi("show", table, "--paths", "test")
    assert code == 0
    paths = [Path(line) for line in out.splitlines()]
    assert len(paths) == 2
    assert all(path.is_file() for path in paths)
    assert len({path.parent for path in paths}) == 1, "of one patient"
    assert wsi("show", table, "--paths", "nonsense")[0] == 2


def test_another_table_is_not_replaced_by_a_split(wsi: Wsi, folder: Path, tmp_path: Path) -> None:
    table, other = indexed(wsi, folder), tmp_path / "other.csv"
    other.write_text("mine")
    code, _, err = wsi("split", table, "-o", other)
    assert code == 2
    assert "already exists" in err
    assert other.read_text() == "mine"
    assert wsi("split", table, "-o", other, "--overwrite")[0] == 0
    assert table.read_text().count("train") == 0
    assert other.read_text().count("train") > 0


def test_json_says_what_was_found(wsi: Wsi, folder: Path) -> None:
    table = folder.parent / "cohort.csv"
    code, out, _ = wsi("index", folder, "-o", table, "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["slides"] == 8
    assert facts["problems"] == []
    assert any("8 slides have no label" in note for note in facts["notes"])
    code, out, _ = wsi("show", table, "--json")
    assert json.loads(out)["problems"] is None


def test_problems_are_all_named_and_nothing_is_written(wsi: Wsi, folder: Path) -> None:
    table = folder.parent / "cohort.csv"
    (folder / "P0" / "s0t.tiff").rename(folder / "P0" / "other.tiff")
    write_asap(folder / "P1" / "s1t.xml", square(5000, 5000))
    code, out, err = wsi("index", folder, "-o", table)
    assert code == 3
    assert out == ""
    assert f"{folder}/P0/s0t.xml: there is no slide called s0t" in err
    assert f"{folder}/P1/s1t.xml: its tumour reaches" in err
    assert "cohort.csv was not written" in err
    assert not table.exists()
    code, out, _ = wsi("index", folder, "-o", table, "--json")
    assert code == 3
    assert len(json.loads(out)["problems"]) == 3  # other.tiff has no truth now


def test_show_finds_what_broke_later(wsi: Wsi, folder: Path) -> None:
    table = indexed(wsi, folder)
    (folder / "P2" / "s2n.tiff").unlink()
    assert wsi("show", table)[0] == 0
    code, _, err = wsi("show", table, "--check")
    assert code == 3
    assert "s2n.tiff: no such file" in err


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_table_is_replaced_only_when_asked(wsi: Wsi, folder: Path, overwrite: bool) -> None:
    table = folder.parent / "cohort.csv"
    table.write_text("mine")
    code, _, err = wsi("index", folder, "-o", table, *(["--overwrite"] if overwrite else []))
    assert code == (0 if overwrite else 2)
    assert overwrite == (table.read_text() != "mine")
    assert overwrite or "pass --overwrite" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["index", "absent", "-o", "c.csv"], 2),
        (["index", ".", "-o", "c.csv", "--labels", "absent.csv"], 2),
        (["index", ".", "-o", "absent/c.csv"], 2),
        (["index", ".", "-o", "c.csv", "--mask-value", "7"], 2),
        (["index", ".", "-o", "c.csv", "--patient-from", "("], 2),
        (["index", ".", "-o", "c.csv", "--prefer", "x"], 2),
        (["index", "."], 2),
        (["split", "absent.csv"], 2),
        (["show", "absent.csv"], 2),
        (["split", "absent.csv", "--by", "patch"], 2),
        (["split", "absent.csv", "--by", "slide"], 2),
        (["split", "absent.csv", "--validation", "2"], 2),
        (["rasterize", "a.xml", "-o", "m.tiff"], 2),
        (["rasterize", "a.xml", "-o", "m.tiff", "--size", "10x10", "--like", "a.tiff"], 2),
        (["rasterize", "a.xml", "-o", "m.tiff", "--size", "big"], 2),
        (["rasterize", "a.xml", "-o", "m.tiff", "--size", "10x10", "--level", "9"], 2),
        (["rasterize", "a.xml", "-o", "m.tiff", "--size", "10x10"], 3),
        (["rasterize", "m.tiff", "-o", "n.tiff", "--size", "10x10"], 3),
        (["rasterize", "a.txt", "-o", "n.tiff", "--size", "10x10"], 3),
    ],
)
def test_wrong_usage_and_wrong_files_have_their_codes(
    wsi: Wsi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, err = wsi(*arguments)
    assert found == code
    assert err.strip()
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_mask_is_drawn_like_its_slide(wsi: Wsi, folder: Path, tmp_path: Path) -> None:
    slide, mask = folder / "P0" / "s0t.tiff", tmp_path / "mask.tiff"
    code, out, err = wsi("rasterize", slide.with_suffix(".xml"), "--like", slide, "-o", mask)
    assert (code, err) == (0, "")
    assert "10,000 px of tumour" in out
    with openslide.OpenSlide(mask) as drawn, openslide.OpenSlide(slide) as original:
        assert drawn.level_dimensions == original.level_dimensions
        assert drawn.properties["openslide.mpp-x"] == original.properties["openslide.mpp-x"]
    expected = np.zeros((256, 384), np.uint8)
    expected[32:132, 64:164] = 255
    np.testing.assert_array_equal(tifffile.imread(mask), expected)
    code, _, err = wsi("rasterize", slide.with_suffix(".xml"), "--like", slide, "-o", mask)
    assert code == 2
    assert "already exists" in err


def test_a_mask_may_begin_at_a_level_and_hold_another_value(
    wsi: Wsi, folder: Path, tmp_path: Path
) -> None:
    xml, slide = folder / "P0" / "s0t.xml", folder / "P0" / "s0t.tiff"
    drawn = []
    for name, source in (("a", ["--like", slide]), ("b", ["--size", "384x256"])):
        mask = tmp_path / f"{name}.tiff"
        arguments = [*source, "--level", 2, "--value", 2, "-o", mask, "--json"]
        code, out, _ = wsi("rasterize", xml, *arguments)
        assert code == 0
        facts = json.loads(out)
        assert (facts["levels"], facts["downsample"], facts["value"]) == ([[96, 64]], 4, 2)
        assert facts["tumour_px"] == 625
        drawn.append(tifffile.imread(mask))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert set(np.unique(drawn[0])) == {0, 2}
    # It says its value itself, so it can be drawn again at another level.
    again = tmp_path / "c.tiff"
    code, _, _ = wsi("rasterize", tmp_path / "a.tiff", "--size", "384x256", "-o", again)
    assert code == 0
    assert (tifffile.imread(again) == 255).sum() == 10_000


def test_a_mask_of_others_has_to_be_declared(wsi: Wsi, tmp_path: Path) -> None:
    source = tmp_path / "old.tif"
    pixels = np.zeros((256, 384), np.uint8)
    pixels[:50, :60] = 2
    tifffile.imwrite(source, pixels, tile=(64, 64))
    arguments = ["--size", "384x256", "-o", tmp_path / "new.tiff"]
    code, _, err = wsi("rasterize", source, *arguments)
    assert code == 3
    assert "does not say which value is tumour" in err
    assert wsi("rasterize", source, *arguments, "--kind", "mask-2")[0] == 0
    assert (tifffile.imread(tmp_path / "new.tiff") == 255).sum() == 3000


def test_an_annotation_outside_is_refused_before_drawing(wsi: Wsi, folder: Path) -> None:
    code, _, err = wsi(
        "rasterize", folder / "P0" / "s0t.xml", "--size", "100x100", "-o", folder / "m.tiff"
    )
    assert code == 3
    assert "outside the slide of 100 × 100 px" in err
    assert not (folder / "m.tiff").exists()


def test_other_classes_may_be_named(wsi: Wsi, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    ring = [[0, 0], [40, 0], [40, 40], [0, 40], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "DCIS [in situ]"}},
    }
    path.write_text(json.dumps(feature))
    arguments = ["rasterize", path, "--size", "100x100", "-o", tmp_path / "m.tiff"]
    code, _, err = wsi(*arguments)
    assert code == 3
    assert "DCIS [in situ]; say which are with --tumour-class" in err
    code, out, _ = wsi(*arguments, "--tumour-class", "dcis [In situ]", "--json")
    assert code == 0
    assert json.loads(out)["tumour_px"] == 1600
