"""From an encoder and slide labels to an answer for a slide, as a user goes: four commands."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from wsi_pipeline.cli import app
from wsi_pipeline.model.package import load_package
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.encoders import ENCODER_PX, make_encoder_package
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid

pytestmark = pytest.mark.slow

#: Slides with a label, every second with tumour; and one more of each kind.
LABELLED, NEW = 12, (12, 13)
_COLUMNS, _ROWS = 6, 5


def draw(path: Path, number: int) -> None:
    """Tissue with glass around it; of odd numbers three of its tiles are tumour."""
    colours = np.full((_ROWS + 2, _COLUMNS + 2, 3), 242.0)
    inside = np.tile(np.array(NORMAL_COLOUR, float), (_ROWS * _COLUMNS, 1))
    rng = np.random.default_rng(number)
    if number % 2:
        inside[rng.choice(len(inside), 3, replace=False)] = TUMOUR_COLOUR
    colours[1:-1, 1:-1] = inside.reshape(_ROWS, _COLUMNS, 3)
    image = np.kron(colours, np.ones((ENCODER_PX, ENCODER_PX, 1)))
    image += rng.normal(0, 10, image.shape)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8))


def wsi(*arguments: object) -> str:
    """What a command writes on standard output; it succeeds."""
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_four_commands_lead_to_an_answer(
    tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSI_CACHE_DIR", str(model_cache))
    encoder = make_encoder_package(tmp_path / "encoder")
    rows, new = ["slide,label"], ["slide,label"]
    for number in (*range(LABELLED), *NEW):
        folder = "new" if number in NEW else f"slides/{number % 3}"
        path = tmp_path / folder / f"s{number}.tiff"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(path, number)
        (new if number in NEW else rows).append(f"s{number},{('normal', 'tumour')[number % 2]}")
    labels, unseen = tmp_path / "labels.csv", tmp_path / "new.csv"
    labels.write_text("\n".join(rows) + "\n")
    unseen.write_text("\n".join(new) + "\n")
    made = tmp_path / "features"
    asked = ("--encoder", encoder.folder, "--runtime", "torch", "--device", "cpu")
    summary = json.loads(wsi("features", tmp_path / "slides", "-o", made, *asked, "--json", "-q"))
    assert summary["done"] == LABELLED
    # An encoder by itself says nothing of a slide.
    assert {one["slide_state"] for one in summary["slides"]} == {""}

    package = tmp_path / "models" / "answer"
    settings = [f"--set={one}" for one in ("epochs=20", "learning_rate=0.01", "hidden=16")]
    recipe = ("--recipe", "abmil", "--features", made, "--encoder", encoder.folder, *settings)
    report = json.loads(wsi("train", labels, "-o", package, *recipe, "--folds", 3, "--json", "-q"))
    assert report["held_out"]["slides"] == {"normal": 6, "tumour": 6}
    description = load_package(package).description
    assert description.output == "features"
    assert description.slide_level is not None
    wsi("models", "show", package)

    results = tmp_path / "results"
    told = json.loads(
        wsi("run", tmp_path / "new", "-o", results, "--model", package, *asked[2:], "--json", "-q")
    )
    for outcome in told["slides"]:
        check_answer(results / outcome["result"], outcome)
    scores = {Path(one["slide"]).stem: one["slide_score"] for one in told["slides"]}
    assert scores["s13"] > scores["s12"]
    wsi("export", results / "s13.zarr", "heatmap", "geojson", "csv", "tiff")
    header = (results / "s13.tiles.csv").read_text().splitlines()[0]
    assert header == "x,y,width,height,tissue,attention"

    wsi("evaluate", results, "--cohort", unseen, "-o", tmp_path / "report", "-q")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["headline"]["slide_auc"]["value"] == 1
    fitted = metrics["groups"]["all"]["slide_level"]["fitted"]
    assert fitted["methods"] == ["abmil"]
    assert fitted["auc_max"] is None
    page = (tmp_path / "report" / "report.html").read_text()
    assert "no largest cell to compare with" in page
    done = CliRunner().invoke(
        app, ["evaluate", str(made), "--cohort", str(labels), "-o", str(tmp_path / "none"), "-q"]
    )
    assert done.exit_code == 3
    assert "no answer that could be evaluated" in (tmp_path / "none" / "report.html").read_text()


def check_answer(path: Path, outcome: dict[str, Any]) -> None:
    """Probability, interval, state and attention are there, and the summary has them."""
    result = verify(path)
    answer = result.slide_answer
    assert answer is not None
    assert answer.probability == result.slide_score == outcome["slide_score"]
    assert answer.probability is not None
    assert answer.low is not None
    assert answer.high is not None
    assert answer.low < answer.probability < answer.high
    assert (outcome["slide_state"], outcome["slide_method"]) == ("look-again", "abmil")
    assert "12 validation slides" in answer.reason
    image = result.attention
    assert image is not None
    assert np.count_nonzero(~np.isnan(image)) == result.tiles == _COLUMNS * _ROWS
    assert np.nanmax(image) == 1
