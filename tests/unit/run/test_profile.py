"""Spans of threads, and the sums of them."""

import os
import subprocess
import sys
import threading
import time

import pytest

from wsi_pipeline.run.profile import NOT_PROFILED, STAGES, Profile, Span, Stage, stage_times


def span(stage: Stage, began: float, seconds: float, cpu: float | None = None) -> Span:
    return Span(stage, "work", began, seconds, cpu, "host:1", "thread", 1)


def test_spans_say_what_was_done_by_which_thread() -> None:
    profile = Profile()
    with profile.span("tissue", "find tissue", "slide"):
        sum(range(200_000))
    with profile.span("decode", "outer"), profile.span("decode", "inner"):
        pass

    def work() -> None:
        with profile.span("write", "publish"):
            pass

    thread = threading.Thread(target=work, name="another")
    thread.start()
    thread.join()
    first, inner, outer, other = profile.spans
    assert (first.stage, first.name, first.slide) == ("tissue", "find tissue", "slide")
    assert first.thread == threading.current_thread().name
    assert first.thread_id == threading.get_native_id()
    assert first.process.endswith(f":{os.getpid()}")
    assert first.cpu_seconds is not None
    assert 0 < first.cpu_seconds <= first.seconds + 0.01
    assert (inner.name, outer.name) == ("inner", "outer")
    assert outer.began <= inner.began
    assert inner.ended <= outer.ended
    assert (other.thread, other.stage) == ("another", "write")
    assert other.thread_id != first.thread_id


def test_what_fails_is_recorded_too() -> None:
    profile = Profile()
    with pytest.raises(ZeroDivisionError), profile.span("write", "stitch"):
        raise ZeroDivisionError
    assert [one.name for one in profile.spans] == ["stitch"]


def test_start_up_begins_when_the_system_started_the_process() -> None:
    before = time.time()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    after = time.time()
    of_child = Profile(child.pid).began
    child.communicate(b"\n")
    # The system counts hundredths of a second.
    assert before - 0.03 <= of_child <= after + 0.03
    profile = Profile()
    profile.started()
    (first,) = profile.spans
    assert profile.began < of_child
    assert first.stage == "start-up"
    assert first.began == pytest.approx(profile.began, abs=0.001)
    assert first.ended <= time.time() + 0.01
    assert first.cpu_seconds is not None
    assert 0 < first.cpu_seconds <= time.process_time()


def test_nothing_is_recorded_of_a_run_that_is_not_profiled() -> None:
    assert not NOT_PROFILED.records
    once, again = NOT_PROFILED.span("model", "a"), NOT_PROFILED.span("write", "b")
    assert once is again, "nothing is made for it"
    with once, again:
        NOT_PROFILED.add([span("model", 0, 1)])


def test_sums_count_wall_time_once_and_threads_each() -> None:
    spans = [
        span("decode", 0, 2, 1.5),
        span("decode", 1, 2, 0.5),  # beside the first
        span("decode", 6, 1, 1),
        span("model", 1.5, 1),
        span("model", 2, 4),
        span("start-up", 0, 1),
    ]
    times = {one.stage: one for one in stage_times(spans, 10)}
    assert list(times) == list(STAGES)
    decode = times["decode"]
    assert (decode.seconds, decode.thread_seconds, decode.cpu_seconds) == (4, 5, 3)
    assert decode.share == pytest.approx(0.4)
    # The model has batches from 1.5 to 6.
    assert decode.model_idle_seconds == pytest.approx(1.5 + 1)
    assert times["model"].seconds == pytest.approx(4.5)
    assert times["model"].thread_seconds == 5
    assert times["model"].cpu_seconds is None
    assert times["model"].model_idle_seconds == pytest.approx(0)
    assert times["start-up"].model_idle_seconds == 1
    assert (times["wait"].seconds, times["wait"].cpu_seconds) == (0, None)


def test_sums_of_nothing() -> None:
    assert {one.seconds for one in stage_times([], 0)} == {0}
    assert {one.share for one in stage_times([], 0)} == {0}
