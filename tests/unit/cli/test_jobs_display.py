"""Jobs are readable in a terminal of 80 columns, whatever they are at."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from wsi_pipeline.cli.jobs_display import show_jobs
from wsi_pipeline.client import JobRecord

Show = Callable[..., list[str]]


def job(number: int, state: str, **facts: Any) -> JobRecord:
    told = {
        "stage": None,
        "tiles_done": 0,
        "tiles_total": None,
        "tiles_per_second": None,
        "position": None,
        "expected_at": None,
        "attempts": 1,
        "problem": None,
        **facts,
    }
    return JobRecord(f"{number:032x}", "0" * 32, "demo", state, json={}, **told)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    monkeypatch.setenv("COLUMNS", "80")

    def show(*jobs: JobRecord) -> list[str]:
        show_jobs(jobs)
        return capsys.readouterr().out.splitlines()

    return show


def test_the_widest_row_has_room(shown: Show) -> None:
    soon = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).astimezone()
    running = job(
        1,
        "running",
        stage="classifying",
        tiles_done=12_345,
        tiles_total=112_345,
        expected_at=soon,
    )
    done = job(2, "succeeded", tiles_done=112_345, tiles_total=112_345)
    heading, *rows = shown(running, done)
    assert heading.split() == ["job", "state", "stage", "tiles", "expected"]
    when = f"{soon:%H:%M:%S}"
    assert [row.split() for row in rows] == [
        [running.id, "running", "classifying", "12,345/112,345", when],
        [done.id, "succeeded", "112,345"],
    ]


def test_what_no_job_has_is_left_out(shown: Show) -> None:
    waiting, reused = job(1, "queued", position=12), job(2, "succeeded")
    assert [line.split() for line in shown(waiting, reused)] == [
        ["job", "state", "stage"],
        [waiting.id, "queued", "place", "12"],
        [reused.id, "succeeded"],
    ]


def test_reasons_are_whole_lines_below_the_table(shown: Show) -> None:
    reason = "the file is truncated: it ends at byte 12,345 [of 99,999]; " * 3
    failed = job(1, "failed", problem={"detail": reason})
    heading, row, *below = shown(failed)
    assert (heading.split(), row.split()) == (["job", "state"], [failed.id, "failed"])
    assert below == [f"{failed.id}: {reason}"]
