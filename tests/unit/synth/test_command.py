"""The command line: names, JSON, refusals."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from wsi_pipeline.cli.synth import synth

SMALL = ["--size", "600x500"]


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer(rich_markup_mode="rich")
    made.command()(synth)
    return made


def test_slides_are_named_by_seed(app: typer.Typer, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(tmp_path), *SMALL, "--count", "2", "--seed", "7", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert [Path(one["slide"]).name for one in facts] == ["synth_0007.tiff", "synth_0008.tiff"]
    assert facts[0]["tumour_px"] > 0
    assert facts[0]["spec"]["size"] == {"width": 600, "height": 500}
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[:3] == ["synth_0007.tiff", "synth_0007.xml", "synth_0007_mask.tiff"]


def test_slides_are_not_overwritten_unasked(app: typer.Typer, tmp_path: Path) -> None:
    arguments = [str(tmp_path), *SMALL, "--tumour", "none"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0


def test_kinds_are_planted(app: typer.Typer, tmp_path: Path) -> None:
    places = ["rect:100,100,60,40", "necrosis:rect:200,100,50,40", "mucin:rect:300,100,40,40"]
    options = ["--tumour", places[0], "--plant", places[1], "--plant", places[2]]
    done = CliRunner().invoke(app, [str(tmp_path), *SMALL, *options, "--json"])
    assert done.exit_code == 0, done.output
    (facts,) = json.loads(done.stdout)
    assert facts["kind_px"] == {"tumour": 2400, "necrosis": 2000, "mucin": 1600}
    assert facts["classes"] == ["normal", "tumour", "necrosis", "mucin"]
    assert Path(facts["class_mask"]).name == "synth_0001_classes_mask.tiff"
    other = [*SMALL, "--plant", f"tumour:{places[0]}", *options[2:], "--overwrite"]
    said = CliRunner().invoke(app, [str(tmp_path), *other], env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    assert "necrosis 0.000125 mm² in 1 focus" in said.stdout
    again = CliRunner().invoke(app, [str(tmp_path), *other, "--json"])
    assert json.loads(again.stdout) == [facts]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--tumour", "lots"],
        ["--size", "big"],
        ["--tile", "100"],
        ["--plant", "bone:0.1"],
        ["--plant", "tumour:0.1", "--tumour", "0.1"],
    ],
)
def test_wrong_options_exit_with_2(app: typer.Typer, tmp_path: Path, wrong: list[str]) -> None:
    refused = CliRunner().invoke(app, [str(tmp_path), *wrong])
    assert refused.exit_code == 2
    assert "error" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_teaches(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "rect:X,Y,W,H" in shown.stdout
    assert "wsi synth slides --count 10" in shown.stdout
    assert "KIND:SPEC" in shown.stdout
    assert "synth_SEED_classes_mask.tiff" in shown.stdout
