"""A profile as a file for chrome://tracing and Perfetto.

Source: "Trace Event Format", catapult project, JSON object format: complete events (``X``),
nestable asynchronous events (``b``, ``e``) and metadata (``M``).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wsi_pipeline import durable
from wsi_pipeline.run.profile import Span, StageTime

SUFFIX = ".json"
_MICROSECONDS = 1e6


def write_trace(
    path: Path, spans: Sequence[Span], times: Sequence[StageTime], seconds: float
) -> None:
    """Write spans, and beside them the sums under ``stages``; the file is whole at any time.

    Args:
        path: The file; one that is there is replaced.
        spans: In any order.
        times: Of the stages.
        seconds: That the run took.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(
        {
            "displayTimeUnit": "ms",
            "seconds": round(seconds, 4),
            "stages": {time.stage: _rounded(time) for time in times},
            "traceEvents": trace_events(spans),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_text(path, text + "\n")


def trace_events(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """The events; ``ts`` counts from the first span, in µs, as all times of the format.

    What a thread does becomes complete events on its track. Batches in the model overlap in a
    thread, since the next is taken before the last one is answered: asynchronous events.
    """
    first = min((span.began for span in spans), default=0.0)
    processes = {name: n for n, name in enumerate(sorted({s.process for s in spans}), start=1)}
    threads = {(span.process, span.thread_id): span.thread for span in spans}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}
        for name, pid in processes.items()
    ]
    events += [
        {
            "ph": "M",
            "name": "thread_name",
            "pid": processes[process],
            "tid": tid,
            "args": {"name": name},
        }
        for (process, tid), name in threads.items()
    ]
    for number, span in enumerate(sorted(spans, key=lambda one: (one.began, -one.seconds))):
        event: dict[str, Any] = {
            "name": span.name,
            "cat": span.stage,
            "pid": processes[span.process],
            "tid": span.thread_id,
            "ts": _us(span.began - first),
        }
        about: dict[str, Any] = {"slide": span.slide} if span.slide else {}
        if span.stage == "model":
            begins = {**event, "ph": "b", "id": number, "args": about}
            ends = {**event, "ph": "e", "id": number, "ts": _us(span.ended - first)}
            events += [begins, ends]
            continue
        if span.cpu_seconds is not None:
            about["cpu_ms"] = round(1000 * span.cpu_seconds, 3)
        events.append({**event, "ph": "X", "dur": _us(span.seconds), "args": about})
    return events


def _us(seconds: float) -> float:
    return round(seconds * _MICROSECONDS, 1)


def _rounded(time: StageTime) -> dict[str, Any]:
    values = asdict(time)
    del values["stage"]
    return {key: None if value is None else round(value, 4) for key, value in values.items()}
