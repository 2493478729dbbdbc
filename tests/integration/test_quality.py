"""``wsi qc`` over a folder, and what it says of real tissue."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from wsi_pipeline.cli import app
from wsi_pipeline.quality.survey import survey
from wsi_pipeline.slide import open_slide
from wsi_pipeline.synth.inks import PEN_COLOURS
from wsi_pipeline.testing import write_pyramid


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A clean slide, one with a stroke over its left third, and a file that is no slide."""
    rng = np.random.default_rng(4)
    image = np.full((640, 960, 3), 240.0)
    image[64:-64, 64:-64] = [150, 115, 178] * rng.normal(1, 0.08, (512, 832, 1))
    image = image.clip(0, 255)
    folder = tmp_path / "archive"
    folder.mkdir()
    write_pyramid(folder / "clean.tiff", image.astype(np.uint8), mpp=1.0)
    image[:, 64:320] *= np.array(PEN_COLOURS["green"])
    write_pyramid(folder / "inked.tiff", image.astype(np.uint8), mpp=1.0)
    (folder / "broken.svs").write_text("no slide")
    return folder


def test_an_archive_becomes_a_table_and_a_sheet(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = CliRunner().invoke(app, ["qc", str(archive), "-o", str(out), "--json", "-q"])
    assert found.exit_code == 3, found.output
    told = json.loads((out / "quality.json").read_text())["slides"]
    rows = {Path(row["slide"]).name: row for row in told}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "broken.svs": "failed",
        "clean.tiff": "good",
        "inked.tiff": "look",
    }
    # Three of seven columns of tiles hold ink on half of their area or more.
    assert rows["inked.tiff"]["shares"]["pen"] == pytest.approx(3 / 7, abs=1e-3)
    assert rows["broken.svs"]["reason"]
    with (out / "quality.csv").open() as table:
        assert [row["verdict"] for row in csv.DictReader(table)] == ["failed", "good", "look"]
    page = (out / "quality.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert page.index("broken.svs") < page.index("inked.tiff") < page.index("clean.tiff")
    kept = {file: file.stat().st_mtime_ns for file in out.glob(".slides/*.jpg")}
    assert len(kept) == 2
    CliRunner().invoke(app, ["qc", str(archive), "-o", str(out), "-q"])
    assert kept == {file: file.stat().st_mtime_ns for file in out.glob(".slides/*.jpg")}


@pytest.mark.parametrize("name", ["cmu-1-small-region.svs", "dicom-wrong-photometric"])
def test_clean_real_tissue_is_hardly_marked(data: Path, name: str) -> None:
    path = data / "slides" / name
    reader = open_slide(path)
    try:
        row, picture = survey(path, reader, limit=0.5)
    finally:
        reader.close()
    assert row.tiles is not None
    assert row.marked is not None
    # One tile of 128 µm: dark, folded keratin.
    assert row.marked * row.tiles <= 1.01
    assert row.focus is not None
    assert row.focus > -2
    assert picture is not None
