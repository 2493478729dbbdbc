"""Pairing by name: nothing is dropped without a word."""

import shutil
from pathlib import Path

import pytest
from laboratory_support import Laboratory

from wsi_pipeline.cohort.table import Cohort, CohortSlide
from wsi_pipeline.errors import CohortError, UsageError
from wsi_pipeline.evaluation.cases import Sources, find_detections, find_results, pair


def row(name: str, **facts: object) -> CohortSlide:
    return CohortSlide(**({"name": name, "label": "normal", "patient": name} | facts))  # type: ignore[arg-type]  # columns of a row


def scores(folder: Path, *names: str) -> Sources:
    path = folder / "scores.csv"
    path.write_text("slide,score\n" + "".join(f"{name},0.5\n" for name in names))
    return Sources(scores=path)


def test_every_kind_of_source_finds_its_slide(laboratory: Laboratory) -> None:
    slide = laboratory.slide("Test_001", [[0.9]])
    folder = laboratory.folder / "csv"
    folder.mkdir()
    (folder / "test_001.tif.csv").write_text("")
    table = scores(laboratory.folder, "TEST_001.tif").scores
    pairing = pair(Cohort((slide,)), Sources((laboratory.results,), table, folder), None)
    case = pairing.cases[0]
    assert case.result == laboratory.results / "Test_001.zarr"
    assert case.score == 0.5
    assert case.detections == folder / "test_001.tif.csv"
    assert pairing.missing == {"results": (), "scores": (), "detections": ()}


def test_results_are_looked_for_in_folders(laboratory: Laboratory) -> None:
    laboratory.slide("a", [[0.9]])
    deep = laboratory.results / "site" / "b"
    deep.mkdir(parents=True)
    shutil.copytree(laboratory.results / "a.zarr", laboratory.folder / "spare" / "a.zarr")
    hidden = laboratory.results / ".wsi-a"
    shutil.copytree(laboratory.results / "a.zarr", hidden / "a.zarr")
    assert list(find_results([laboratory.results])) == ["a"]
    assert list(find_results([laboratory.results / "a.zarr"])) == ["a"]
    assert list(find_results([laboratory.results, laboratory.results / "a.zarr"])) == ["a"]
    with pytest.raises(CohortError, match="both of slide a"):
        find_results([laboratory.results, laboratory.folder / "spare"])
    with pytest.raises(UsageError, match="there is no result here"):
        find_results([deep])
    with pytest.raises(UsageError, match="there is no result here"):
        find_results([laboratory.folder / "none"])


def test_a_result_goes_by_the_slide_it_states(laboratory: Laboratory) -> None:
    laboratory.slide("a", [[0.9]])
    (laboratory.results / "a.zarr").rename(laboratory.results / "renamed.zarr")
    assert list(find_results([laboratory.results])) == ["a"]


def test_a_slide_without_a_word_is_missing(tmp_path: Path) -> None:
    cohort = Cohort((row("a"), row("b"), row("c", split="excluded")))
    pairing = pair(cohort, scores(tmp_path, "a", "c"), "all")
    assert [case.slide.name for case in pairing.cases] == ["a"]
    assert pairing.missing == {"scores": ("b",)}
    assert pairing.aside == {"scores": ("c",)}


def test_a_word_of_no_slide_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"has no row for x, y, of which there are scores"):
        pair(Cohort((row("a"),)), scores(tmp_path, "a", "x", "y"), None)


def test_test_slides_are_the_default(tmp_path: Path) -> None:
    cohort = Cohort((row("a", split="test"), row("b", split="train", centre="m"), row("c")))
    pairing = pair(cohort, scores(tmp_path, "a", "b", "c"), None)
    assert pairing.split == "test"
    assert [case.slide.name for case in pairing.cases] == ["a"]
    assert pairing.aside == {"scores": ("b", "c")}
    assert pairing.trained == {"m"}
    everything = pair(cohort, scores(tmp_path, "a", "b", "c"), "all")
    assert len(everything.cases) == 3
    unsplit = pair(Cohort((row("a"), row("b"))), scores(tmp_path, "a", "b"), None)
    assert unsplit.split == "all"
    assert len(unsplit.cases) == 2


def test_an_empty_split_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it has no slide in split 'test'"):
        pair(Cohort((row("a", split="train"),)), scores(tmp_path, "a"), None)


def test_there_has_to_be_something(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to evaluate"):
        pair(Cohort((row("a"),)), Sources(), None)


def test_names_alike_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"a and A\.tif cannot be distinguished"):
        pair(Cohort((row("a"), row("A.tif"))), scores(tmp_path, "a"), None)


def test_folders_of_detections(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        find_detections(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no CSV file"):
        find_detections(tmp_path)
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "A.tif.csv").write_text("")
    with pytest.raises(CohortError, match="are of the same slide"):
        find_detections(tmp_path)
