"""``wsi train`` with a recipe for slide labels, as a user types it."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from wsi_pipeline.cli import app

SMALL = ["--set", "hidden=8", "--set", "attention=4", "--set", "epochs=2", "--folds", "2"]


def cohort(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    rows = ["slide,label"]
    for number in range(12):
        with h5py.File(folder / f"s{number}.h5", "w") as file:
            file["features"] = rng.normal(0, 1, (9, 5)).astype(np.float32)
            file["coords"] = np.zeros((9, 2), np.int64)
        rows.append(f"s{number},{number % 2}")
    table = folder / "labels.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def test_it_trains_and_says_what_the_networks_are_worth(tmp_path: Path) -> None:
    table, out = cohort(tmp_path), tmp_path / "models" / "slides"
    words = ["train", str(table), "-o", str(out), "--recipe", "abmil", *SMALL]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["held_out"]["slides"] == {"normal": 6, "tumour": 6}
    assert report["recipe"]["folds"] == 2
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0
    assert "always look again" in again.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--recipe", "abmil", "--set", "hidden=0"], "hidden"),
        (["--recipe", "linear-probe", "--features", "x"], "need a recipe for slide labels"),
        (
            ["--recipe", "abmil", "--set", "target=survival", "--set", "batch=9"],
            "no column 'time'",
        ),
        (["--recipe", "clam-sb", "--set", "target=survival", "--set", "batch=9"], "needs classes"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(tmp_path: Path, more: list[str], message: str) -> None:
    done = CliRunner().invoke(
        app, ["train", str(cohort(tmp_path)), "-o", str(tmp_path / "o"), *more]
    )
    assert done.exit_code != 0
    assert message in f"{done.output}{done.exception}"
