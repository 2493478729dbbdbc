"""Cells against the truth of every class, worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from laboratory_support import Laboratory, asap, build_result
from numpy.typing import NDArray

from wsi_pipeline.annotation.outline import OutlineTruth
from wsi_pipeline.classes import Classes, ModelClass, Task
from wsi_pipeline.evaluation.cases import Sources, pair
from wsi_pipeline.evaluation.class_truth import UNKNOWN, ClassCells, background_of, class_cells
from wsi_pipeline.evaluation.evaluation import evaluate
from wsi_pipeline.evaluation.settings import EvaluationSettings
from wsi_pipeline.geometry import Size
from wsi_pipeline.stitch.result import Result

#: Four cells of 100 px; the probabilities of three classes in each.
PROBABILITY = np.array(
    [[0.8, 0.2, 0.4, 0.1], [0.1, 0.7, 0.5, 0.2], [0.1, 0.1, 0.1, 0.7]], np.float32
)
BACKGROUNDLESS = ("stroma", "fat", "tumour")


def box(x: int, y: int, width: int, height: int) -> OutlineTruth:
    return OutlineTruth("asap", shapely.box(x, y, x + width, y + height))


#: Necrosis in 60 % of the second cell, tumour in all of the third and 30 % of the fourth.
TRUTHS = {"necrosis": box(140, 0, 60, 100), "tumour": box(200, 0, 130, 100)}


def result_of(folder: Path, task: Task, names: tuple[str, ...]) -> Result:
    classes = Classes(task, tuple(ModelClass(name) for name in names), "tumour")
    tiles: NDArray[np.float32] = PROBABILITY.T[None]
    return build_result(folder, tiles, name="s", size=Size(400, 100), classes=classes)


def test_what_covers_most_of_a_cell_is_its_class(tmp_path: Path) -> None:
    result = result_of(tmp_path, "multiclass", ("normal", "necrosis", "tumour"))
    cells = class_cells(result, TRUTHS)
    assert cells.truth.tolist() == [0, 1, 2, 0]
    assert cells.called.tolist() == [0, 1, 1, 2]
    assert np.array_equal(cells.holds, np.eye(3, dtype=bool)[[0, 1, 2, 0]])
    assert cells.annotated == ("necrosis", "tumour")
    # px: necrosis in truth 6,000, called in two cells, 6,000 in both.
    assert dices(cells)["necrosis"] == pytest.approx(2 * 6000 / (6000 + 20000))
    assert dices(cells)["tumour"] == pytest.approx(2 * 3000 / (13000 + 10000))
    assert dices(cells)["normal"] == pytest.approx(2 * 10000 / (21000 + 10000))


def test_classes_that_may_overlap_are_judged_by_themselves(tmp_path: Path) -> None:
    result = result_of(tmp_path, "multilabel", ("mucin", "necrosis", "tumour"))
    cells = class_cells(result, {**TRUTHS, "mucin": box(100, 0, 100, 100)})
    # Mucin covers more of the second cell than necrosis; both are there.
    assert cells.truth.tolist() == [0, 1, 3, 0]
    assert cells.holds.tolist() == [
        [False] * 3,
        [True, True, False],
        [False, False, True],
        [False] * 3,
    ]
    assert cells.called.tolist() == [1, 2, 2, 3]
    assert background_of(cells.classes) is None


def test_without_a_background_what_is_not_annotated_is_unknown(tmp_path: Path) -> None:
    result = result_of(tmp_path, "multiclass", BACKGROUNDLESS)
    cells = class_cells(result, {"tumour": TRUTHS["tumour"]})
    assert cells.truth.tolist() == [UNKNOWN, UNKNOWN, 2, UNKNOWN]


def dices(cells: ClassCells) -> dict[str, float]:
    return {name: overlap.dice for name, overlap in cells.overlaps.items()}


def test_figures_of_two_slides(laboratory: Laboratory) -> None:
    names = ("normal", "necrosis", "tumour")
    one = laboratory.slide("s", [[0.0] * 4], [(200, 0, 130, 100)])
    laboratory.results.joinpath("s.zarr").rename(laboratory.folder / "binary.zarr")
    result_of(laboratory.results, "multiclass", names)
    partial = replace(
        laboratory.slide("p", [[0.0] * 4], [(0, 0, 50, 50)]),
        annotated="partial",
        truth=asap(laboratory.folder / "p.xml", [(0, 0, 50, 50)]),
    )
    cohort = laboratory.cohort(one, partial)
    sources = Sources(results=(laboratory.results,))
    metrics = evaluate(
        cohort, pair(cohort, sources, None), EvaluationSettings(resamples=20)
    ).metrics
    level = metrics["classes"]
    # Nothing of the second slide is held against classes: it has one, and not all is annotated.
    assert (level["slides"], level["cells"], level["left_out"]) == (1, 4, [])
    assert level["confusion"] == [[1, 1, 1], [0, 0, 0], [0, 1, 0]]
    by_name = {figures["name"]: figures for figures in level["classes"]}
    assert by_name["necrosis"]["annotated_slides"] == 0
    assert by_name["necrosis"]["auc"]["value"] is None
    assert by_name["necrosis"]["dice"]["mean"]["value"] is None
    # The tumour cell has the third largest probability of four.
    assert by_name["tumour"]["auc"]["value"] == pytest.approx(1 / 3)
    assert metrics["positive"] == "tumour"


def test_a_binary_evaluation_says_nothing_of_classes(laboratory: Laboratory) -> None:
    cohort = laboratory.cohort(laboratory.slide("s", [[0.9, 0.1]], [(0, 0, 100, 100)]))
    sources = Sources(results=(laboratory.results,))
    metrics = evaluate(
        cohort, pair(cohort, sources, None), EvaluationSettings(resamples=20)
    ).metrics
    assert metrics["classes"] is None
