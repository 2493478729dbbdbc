"""What a killed run finished is there for the next one, if it is the same."""

from pathlib import Path

import pytest

from wsi_pipeline.errors import ResultBusyError, ResultError
from wsi_pipeline.images import journal as module
from wsi_pipeline.images.classification import Answer
from wsi_pipeline.images.journal import FOLDER, Journal

KEY = {"model": "a"}
ANSWERS = [Answer(f"{index:064x}", 4, 5, (0.25, 0.75), ("dark",)) for index in range(5)]
KNOWN = {answer.sha256: answer for answer in ANSWERS}


def test_the_next_run_finds_what_was_written(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY) as first:
        for answer in ANSWERS[:3]:
            first.keep(answer)
        first.flush()
    with Journal(tmp_path, KEY) as second:
        assert list(second.answers.values()) == ANSWERS[:3]
        for answer in ANSWERS:  # those that are there are not written twice
            second.keep(answer)
        second.flush()
    with Journal(tmp_path, KEY) as third:
        assert third.answers == KNOWN
        lines = [path.read_text().count("\n") for path in sorted(tmp_path.glob("*/part-*"))]
        assert lines == [3, 2]
        third.discard()
    assert not (tmp_path / FOLDER).exists()


def test_parts_are_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART_ANSWERS", 2)
    with Journal(tmp_path, KEY) as first:
        for answer in ANSWERS:
            first.keep(answer)
    with Journal(tmp_path, KEY) as second:
        assert list(second.answers.values()) == ANSWERS[:4]


def test_another_models_answers_are_lost_only_if_that_is_asked_for(tmp_path: Path) -> None:
    other_key = {"model": "b"}
    with Journal(tmp_path, KEY) as first:
        first.keep(ANSWERS[0])
        first.flush()
    with (
        pytest.raises(ResultError, match="unfinished run of another"),
        Journal(tmp_path, other_key),
    ):
        pass
    with Journal(tmp_path, KEY) as again:
        assert list(again.answers.values()) == ANSWERS[:1]
    with Journal(tmp_path, other_key, overwrite=True) as other:
        assert not other.answers
    with Journal(tmp_path, KEY) as again:
        assert not again.answers


def test_a_damaged_part_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Journal(tmp_path, KEY) as first:
        first.keep(ANSWERS[0])
        first.flush()
        first.keep(ANSWERS[1])
        first.flush()
    (tmp_path / FOLDER / "part-000000").write_text('{"sha256"')
    with Journal(tmp_path, KEY) as second:
        assert list(second.answers.values()) == [ANSWERS[1]]
    assert "computed again" in caplog.text


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, KEY),
        pytest.raises(ResultBusyError, match="another process"),
        Journal(tmp_path, KEY),
    ):
        pass
    with Journal(tmp_path, KEY):
        pass
