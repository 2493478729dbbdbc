"""Traces as chrome://tracing and Perfetto read them."""

import json
from pathlib import Path
from typing import Any

from wsi_pipeline.run.profile import Span, Stage, stage_times
from wsi_pipeline.run.trace import trace_events, write_trace


def span(stage: Stage, name: str, began: float, seconds: float, **more: Any) -> Span:
    facts = {"cpu_seconds": None, "process": "host:1", "thread": "main", "thread_id": 7} | more
    return Span(stage, name, began, seconds, **facts)


SPANS = [
    span("tissue", "find tissue", 1000.5, 0.25, slide="a", cpu_seconds=0.125),
    span("start-up", "imports", 1000.0, 0.5),
    span("model", "compute a batch", 1001.0, 0.2, thread="predict_0", thread_id=8),
    span("model", "compute a batch", 1001.1, 0.2, thread="predict_0", thread_id=8),
    span("decode", "read a batch", 1001.0, 0.1, process="other:1", thread="main", thread_id=7),
]


def test_threads_have_tracks_with_their_names() -> None:
    events = trace_events(SPANS)
    named = {
        (event["pid"], event.get("tid")): event["args"]["name"]
        for event in events
        if event["ph"] == "M"
    }
    first, other = (
        next(pid for (pid, tid), name in named.items() if tid is None and name == process)
        for process in ("host:1", "other:1")
    )
    assert first != other
    assert named[first, 7] == "main"
    assert named[first, 8] == "predict_0"
    assert named[other, 7] == "main"
    whole = [event for event in events if event["ph"] == "X"]
    assert [(event["name"], event["ts"], event["dur"]) for event in whole] == [
        ("imports", 0, 500_000),
        ("find tissue", 500_000, 250_000),
        ("read a batch", 1_000_000, 100_000),
    ]
    assert whole[1]["cat"] == "tissue"
    assert whole[1]["args"] == {"slide": "a", "cpu_ms": 125}
    assert [event["pid"] for event in whole] == [first, first, other]


def test_batches_that_overlap_in_a_thread_are_asynchronous() -> None:
    events = [event for event in trace_events(SPANS) if event.get("cat") == "model"]
    assert [event["ph"] for event in events] == ["b", "e", "b", "e"]
    begins, ends = events[::2], events[1::2]
    assert [event["id"] for event in begins] == [event["id"] for event in ends]
    assert len({event["id"] for event in begins}) == 2
    assert [event["ts"] for event in ends] == [1_200_000, 1_300_000]


def test_the_file_holds_events_and_sums(tmp_path: Path) -> None:
    file = tmp_path / "new" / "profile.json"
    write_trace(file, SPANS, stage_times(SPANS, 2), 2)
    kept = json.loads(file.read_text())
    assert kept["traceEvents"] == json.loads(json.dumps(trace_events(SPANS)))
    assert kept["seconds"] == 2
    assert kept["stages"]["model"]["seconds"] == 0.3
    assert kept["stages"]["model"]["cpu_seconds"] is None
    assert kept["stages"]["tissue"] == {
        "seconds": 0.25,
        "thread_seconds": 0.25,
        "cpu_seconds": 0.125,
        "share": 0.125,
        "model_idle_seconds": 0.25,
    }


def test_a_run_without_spans_is_a_trace_too() -> None:
    assert trace_events([]) == []
