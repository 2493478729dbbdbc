"""``wsi export``: names, several at once, refusals, JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from wsi_pipeline.cli.export import export
from wsi_pipeline.errors import ResultError, UsageError
from wsi_pipeline.stitch.result import Result

MakeResult = Callable[..., Result]

NAMES = {
    "heatmap": "slide-7.heatmap.png",
    "geojson": "slide-7.geojson",
    "csv": "slide-7.tiles.csv",
    "parquet": "slide-7.tiles.parquet",
    "tiff": "slide-7.mask.tiff",
    "zip": "slide-7.zarr.zip",
}


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    made = typer.Typer(rich_markup_mode="rich")
    made.command()(export)
    return made


def test_everything_beside_the_result(
    app: typer.Typer, make_result: MakeResult, tmp_path: Path
) -> None:
    store = str(make_result().path)
    done = CliRunner().invoke(app, [store, *NAMES, "--side", "400", "--json"])
    assert done.exit_code == 0, done.output
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {fact["export"]: Path(fact["written"]).name for fact in facts} == NAMES
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES.values(), "slide-7.zarr"}


def test_files_are_not_overwritten_unasked(
    app: typer.Typer, make_result: MakeResult, tmp_path: Path
) -> None:
    store = str(make_result().path)
    (tmp_path / NAMES["csv"]).write_text("mine")
    refused = CliRunner().invoke(app, [store, "geojson", "csv"])
    assert isinstance(refused.exception, UsageError)
    assert "--overwrite" in str(refused.exception)
    assert (tmp_path / NAMES["csv"]).read_text() == "mine"
    # Refused before the first was written.
    assert not (tmp_path / NAMES["geojson"]).exists()
    assert CliRunner().invoke(app, [store, "geojson", "csv", "--overwrite"]).exit_code == 0
    assert (tmp_path / NAMES["csv"]).read_text() != "mine"


def test_output_is_a_file_or_a_folder(
    app: typer.Typer, make_result: MakeResult, tmp_path: Path
) -> None:
    store = str(make_result().path)
    folder = tmp_path / "reports"
    folder.mkdir()
    assert CliRunner().invoke(app, [store, "csv", "zip", "-o", str(folder)]).exit_code == 0
    assert {path.name for path in folder.iterdir()} == {NAMES["csv"], NAMES["zip"]}
    assert CliRunner().invoke(app, [store, "csv", "-o", str(folder / "x.csv")]).exit_code == 0
    assert (folder / "x.csv").exists()
    new = tmp_path / "made" / "for-them"
    assert CliRunner().invoke(app, [store, "csv", "zip", "-o", str(new)]).exit_code == 0
    assert {path.name for path in new.iterdir()} == {NAMES["csv"], NAMES["zip"]}
    for wrong in (["csv", "zip", "-o", str(folder / "y.x")], ["csv", "-o", str(folder / "no/y.x")]):
        assert isinstance(CliRunner().invoke(app, [store, *wrong]).exception, UsageError)


def test_what_is_no_result_is_named(app: typer.Typer, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, [str(tmp_path / "none.zarr"), "csv"])
    assert isinstance(refused.exception, ResultError)


@pytest.mark.parametrize("wrong", [["picture"], ["csv", "--threshold", "2"], []])
def test_wrong_usage_exits_with_2(
    app: typer.Typer, make_result: MakeResult, wrong: list[str]
) -> None:
    assert CliRunner().invoke(app, [str(make_result().path), *wrong]).exit_code == 2


def test_help_teaches(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120", "NO_COLOR": "1"})
    assert result.exit_code == 0
    assert "wsi export slide.zarr geojson csv" in result.stdout
