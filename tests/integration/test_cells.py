"""``wsi cells`` from files to tables, pictures and page; and on real fields where they are."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from wsi_pipeline.cells.analysis import Analysis
from wsi_pipeline.cells.classical import ClassicalFinder
from wsi_pipeline.cells.fields import Field
from wsi_pipeline.cells.truth import agreement, read_truth
from wsi_pipeline.cli import EXIT_BAD, EXIT_OK, app
from wsi_pipeline.images import read_picture
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.testing.copies import copy_package
from wsi_pipeline.testing.smears import draw_smear, scattered

SIZE = (480, 360)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def smears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn fields, boxes of both, and a text that is called an image."""
    folder = tmp_path_factory.mktemp("smears")
    lines = ["image,label,xmin,ymin,xmax,ymax"]
    for seed, name in enumerate(("one.png", "two.bmp")):
        cells = scattered(SIZE, seed=seed)
        Image.fromarray(draw_smear(cells, SIZE, seed=seed)).save(folder / name)
        lines += [f"{name},{c.kind},{','.join(f'{v:.1f}' for v in c.box(SIZE))}" for c in cells]
    (folder / "bad.jpg").write_text("no picture at all")
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_run_with_a_model(
    smears: Path, kinds_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSI_CACHE_DIR", str(tmp_path / "cache"))
    out = tmp_path / "out"
    # At a coverage of 0.8 a class of 0.9 or more is in a cell's set, and no other.
    scores = np.concatenate([np.full(8, 0.1), np.full(1, 0.9)])
    package = copy_package(kinds_package, tmp_path / "kinds", conformal=scores)
    command = ["cells", str(smears), "-o", str(out), "--model", str(package.folder)]
    command += ["--coverage", "0.8"]
    command += ["--measure", "--truth", str(smears / "boxes.csv"), "--json", "--device", "cpu"]
    command += ["--runtime", "torch"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == EXIT_BAD, done.output
    assert "bad.jpg: is no PNG, JPEG" in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["done"], summary["skipped"], len(summary["failed"])) == (2, 0, 1)
    assert summary["truth"]["fields"] == 2
    assert {one["kind"]: one["recall"]["value"] for one in summary["truth"]["kinds"]} == {
        "WBC": 1,
        "RBC": 1,
        "Platelets": 1,
    }

    fields = {Path(row["field"]).name: row for row in rows_of(out / "fields.csv")}
    assert {name: row["status"] for name, row in fields.items()} == {
        "one.png": "done",
        "two.bmp": "done",
        "bad.jpg": "failed",
    }
    cells = pq.read_table(out / "cells.parquet").to_pylist()
    assert len(cells) == len(rows_of(out / "cells.csv")) == sum(summary["cells"].values())
    classes = kinds_package.classes.names
    for cell in cells:
        if cell["kind"] == "WBC":
            values = [cell[f"p_{name}"] for name in classes]
            assert sum(values) == pytest.approx(1, abs=1e-4)
            assert cell["label"] == classes[int(np.argmax(values))]
            assert cell["lobes"] == 3
            likely = [name for name, value in zip(classes, values, strict=True) if value >= 0.9]
            assert cell["set"] == likely
            assert cell["review"] == (len(likely) != 1)
        else:
            assert cell["label"] is None
    overall = [row for row in rows_of(out / "differential.csv") if not row["field"]]
    assert sum(int(row["count"]) for row in overall) == 2
    assert sum(float(row["share"]) for row in overall) == pytest.approx(1)
    with Image.open(out / "fields" / "one.png") as drawn:
        assert drawn.size == SIZE
    assert len(list((out / "measured").glob("*.png"))) == 2
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Differential" in page
    assert "bad.jpg" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_run_goes_on_where_it_was_and_does_again_what_changed(
    smears: Path, tmp_path: Path
) -> None:
    field = tmp_path / "a.png"
    field.write_bytes((smears / "one.png").read_bytes())
    out = tmp_path / "out"

    def run(*more: str) -> dict[str, int]:
        done = CliRunner().invoke(app, ["cells", str(field), "-o", str(out), "--json", *more])
        assert done.exit_code == EXIT_OK, done.output
        summary = json.loads(done.stdout)
        return {name: summary[name] for name in ("done", "skipped")}

    assert run() == {"done": 1, "skipped": 0}
    table = (out / "cells.csv").read_bytes()
    assert run() == {"done": 0, "skipped": 1}
    assert (out / "cells.csv").read_bytes() == table
    assert run("--overwrite") == {"done": 1, "skipped": 0}
    assert (out / "cells.csv").read_bytes() == table
    assert run("--red-cell-px", "62") == {"done": 1, "skipped": 0}
    assert not (out / "differential.csv").exists()


def test_real_fields(data: Path) -> None:
    """Ten of the thirty fields of docs/cells.md, which states the figures of all of them."""
    folder = data / "blood" / "fields"
    analysis = Analysis(ClassicalFinder())
    paths = sorted(folder.glob("*.jpg"))[1::6]
    records = [analysis(Field(path, path.stem), read_picture(path))[0] for path in paths]
    kinds, left_out = agreement(records, read_truth(folder / "boxes.csv"))
    assert not left_out
    found = {one.kind: one for one in kinds}
    assert found["WBC"].precision.value >= 0.9
    assert found["WBC"].recall.value >= 0.9
    assert found["RBC"].recall.value >= 0.65
    assert found["Platelets"].recall.value >= 0.5
