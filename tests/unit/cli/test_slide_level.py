"""``wsi train --slide-level`` and ``wsi evaluate --compare`` as their user calls them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.testing.models import make_stub_package
from wsi_pipeline.testing.slide_maps import planted_map, write_map_result

Wsi = Callable[..., tuple[int, str, str]]
SLIDES = 20


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelPackage, Path, Path]:
    """A package, results of 20 validation slides and one test slide, and their table."""
    folder, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(3)
    package = make_stub_package(folder / "model")
    rows = ["slide,label,patient,split"]
    for number in range(SLIDES + 1):
        positive = number % 2 == 0
        name, split = f"s{number}", "test" if number == SLIDES else "validation"
        write_map_result(
            folder / "results", name, planted_map(rng, positive=positive, side=16), package
        )
        rows.append(f"{name}.tiff,{'macro' if positive else 'negative'},p{number},{split}")
    rows.append("absent,normal,p99,validation")
    (folder / "cohort.csv").write_text("\n".join(rows).replace(".tiff", "") + "\n")
    return package, folder / "results", folder / "cohort.csv"


def test_results_and_labels_become_a_package_with_an_answer(
    wsi: Wsi, cohort: tuple[ModelPackage, Path, Path], tmp_path: Path
) -> None:
    package, results, table = cohort
    out = tmp_path / "with-answer"
    arguments = ("train", "--slide-level", package.folder, results, "--labels", table, "-o", out)
    code, said, told = wsi(*arguments)
    assert code == 0, told
    assert "AUC of the fit" in said
    assert "no slide can be called clear: at least 60" in said
    assert "absent" in told
    section = load_package(out).description.slide_level
    assert section is not None
    # The test slide is not among them.
    assert section.slides == {"normal": 10, "tumour": 10}
    report = json.loads((tmp_path / "with-answer.train.json").read_text())
    assert report["without_result"] == ["absent"]
    assert report["splits"]["splits"] == 200
    page = (tmp_path / "with-answer.train.html").read_text()
    assert "Does the statement hold" in page
    assert "s20" not in page
    code, _, told = wsi(*arguments)
    assert code == 2
    assert "--overwrite" in told
    code, said, _ = wsi(*arguments, "--overwrite", "--kind", "regions-forest", "--json", "-q")
    assert code == 0
    assert json.loads(said)["section"]["kind"] == "regions-forest"
    code, said, _ = wsi("models", "card", out, "-o", tmp_path / "card.html")
    card = (tmp_path / "card.html").read_text() if code == 0 else said
    assert "α = 0.05, δ = 0.1, n = 20 slides" in card


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--labels", "x.csv"), 2, "needs a folder of results or slides"),
        (("results", "--labels", "TABLE", "--alpha", "2"), 2, "--alpha"),
        (("nowhere", "--labels", "TABLE"), 2, "no such folder"),
        (("RESULTS", "--labels", "TABLE", "--negative", "benign"), 2, "the classes are"),
        (("RESULTS", "--labels", "TABLE", "--slide-classes", "labels"), 2, "0 patients are normal"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    arguments: tuple[str, ...],
    code: int,
    reason: str,
    wsi: Wsi,
    cohort: tuple[ModelPackage, Path, Path],
    tmp_path: Path,
) -> None:
    package, results, table = cohort
    named = {"RESULTS": str(results), "TABLE": str(table)}
    given = [named.get(one, one) for one in arguments]
    found, _, told = wsi(
        "train", "--slide-level", package.folder, *given, "-o", tmp_path / "out", "-q"
    )
    assert found == code, told
    assert reason in told
    assert len(told.splitlines()) == 1


def test_two_folders_of_results_are_compared(
    wsi: Wsi, cohort: tuple[ModelPackage, Path, Path], tmp_path: Path
) -> None:
    _, results, table = cohort
    other = tmp_path / "other"
    rng = np.random.default_rng(9)
    for number in range(SLIDES - 1):
        probability = np.full((16, 16), 0.05, np.float32)
        probability[4, 4] = rng.uniform(0.1, 0.9)
        write_map_result(other, f"s{number}", probability)
    arguments = (
        "evaluate",
        "--compare",
        results,
        other,
        "--cohort",
        table,
        "--split",
        "validation",
    )
    code, said, told = wsi(*arguments, "-o", tmp_path / "c", "--resamples", 50, "--json")
    assert code == 0, told
    comparison = json.loads(said)
    assert comparison == json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert len(comparison["slides"]) == SLIDES - 1
    assert comparison["only"]["a"] == ["s19"]
    assert "only in A, so not compared: s19" in told
    assert "DeLong" in (tmp_path / "c" / "comparison.html").read_text()
    code, _, told = wsi(*arguments, "-o", tmp_path / "c")
    assert (code, "already exists" in told) == (2, True)
    code, _, told = wsi(*arguments, results, "-o", tmp_path / "d")
    assert (code, "no other source" in told) == (2, True)
