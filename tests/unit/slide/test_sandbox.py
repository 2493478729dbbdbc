"""Whatever a call does to its process, the caller gets its answer or an error."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from wsi_pipeline.slide.sandbox import CrashError, Limits, Sandbox

LIMITS = Limits(60.0, 2 * 2**30)


# The functions that calls run: the sandbox imports this module by its name.


def double(number: int) -> int:
    return 2 * number


def whoami() -> dict[str, int]:
    return {"pid": os.getpid(), "parent": os.getppid()}


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def wait(seconds: float, beginning: str = "") -> str:
    if beginning:
        Path(beginning).write_text(str(os.getpid()))
    time.sleep(seconds)
    return "waited"


def meet(folder: str, number: int, others: int) -> str:
    """Ends when so many calls are here at the same time."""
    (Path(folder) / str(number)).touch()
    while len(list(Path(folder).iterdir())) < others:
        time.sleep(0.01)
    return "met"


def allocate(size: int) -> int:
    return len(bytearray(size))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    # The sandbox has to find this module, under another name than pytest gave it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}")
        for function in (double, whoami, die, wait, meet, allocate):
            patch.setattr(function, "__module__", Path(__file__).stem)
        with Sandbox(Path(__file__).stem) as started:
            yield started


def until_there(path: Path) -> int:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(0.01)


def test_each_call_has_a_process_of_its_own(sandbox: Sandbox) -> None:
    assert sandbox.call(double, {"number": 21}, LIMITS) == 42
    first, second = (sandbox.call(whoami, {}, LIMITS) for _ in range(2))
    assert len({first["pid"], second["pid"], os.getpid()}) == 3


def test_calls_run_side_by_side(sandbox: Sandbox, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda n: sandbox.call(double, {"number": n}, LIMITS), range(40))
        assert list(answers) == [2 * n for n in range(40)]

    def call(number: int) -> str:
        told = {"folder": str(tmp_path), "number": number, "others": 4}
        return str(sandbox.call(meet, told, LIMITS))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(4))) == ["met"] * 4


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_crash_is_told_by_its_signal(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(CrashError, match=rf"crashed the decoder \({name}\)"):
        sandbox.call(die, {"number": int(signal.Signals[name])}, LIMITS)


def test_time_is_limited(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(CrashError, match=r"took more than 0\.5 s"):
        sandbox.call(
            wait, {"seconds": 100, "beginning": str(tmp_path / "pid")}, Limits(0.5, LIMITS.memory)
        )
    if (tmp_path / "pid").exists():
        until_gone(until_there(tmp_path / "pid"))


def test_memory_is_limited(sandbox: Sandbox) -> None:
    size = LIMITS.memory // 2
    assert sandbox.call(allocate, {"size": size}, LIMITS) == size
    with pytest.raises(CrashError, match="failed within 2 GiB of memory"):
        sandbox.call(allocate, {"size": 2 * LIMITS.memory}, LIMITS)


def test_a_killed_sandbox_is_started_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """Between two calls, and during one, which goes on."""
    assert sandbox.call(double, {"number": 1}, LIMITS) == 2
    assert sandbox._process is not None
    sandbox._process.kill()
    assert sandbox.call(double, {"number": 1}, LIMITS) == 2
    with ThreadPoolExecutor(1) as thread:
        arguments = {"seconds": 1.0, "beginning": str(tmp_path / "pid")}
        waiting = thread.submit(sandbox.call, wait, arguments, LIMITS)
        until_there(tmp_path / "pid")
        sandbox._process.kill()
        assert sandbox.call(double, {"number": 1}, LIMITS) == 2
        assert waiting.result() == "waited"


def test_signals_meant_for_whoever_started_it_change_nothing(sandbox: Sandbox) -> None:
    assert sandbox.call(double, {"number": 1}, LIMITS) == 2
    assert sandbox._process is not None
    before = sandbox._process.pid
    for number in (signal.SIGINT, signal.SIGTERM):
        sandbox._process.send_signal(number)
    assert sandbox.call(double, {"number": 1}, LIMITS) == 2
    assert sandbox._process.pid == before


def test_a_closed_one_takes_no_call() -> None:
    sandbox = Sandbox()
    sandbox.close()
    with pytest.raises(OSError, match="closed"):
        sandbox.call(double, {"number": 1}, LIMITS)


def test_nothing_outlives_a_killed_caller(tmp_path: Path) -> None:
    """Neither the process that is forked nor a child that would wait for a minute."""
    script = tmp_path / "caller.py"
    script.write_text(
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "from test_sandbox import LIMITS, wait\n"
        "from wsi_pipeline.slide.sandbox import Sandbox\n"
        "sandbox = Sandbox('test_sandbox')\n"
        "print(sandbox.start()._process.pid, flush=True)\n"
        "sandbox.call(wait, {'seconds': 60, 'beginning': sys.argv[1]}, LIMITS)\n"
    )
    path = f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    caller = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "pid")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    with caller:
        assert caller.stdout is not None
        pids = [int(caller.stdout.readline()), until_there(tmp_path / "pid")]
        caller.kill()
    for pid in pids:
        until_gone(pid)


def test_no_thread_is_forked() -> None:
    """What reads slides starts no thread by being imported, or forks of it could hang."""
    with Sandbox("wsi_pipeline.slide.probe", "wsi_pipeline.slide.bundle").start() as started:
        assert started._process is not None
        deadline = time.monotonic() + 60
        process = psutil.Process(started._process.pid)
        while not any("openslide" in found.path for found in process.memory_maps()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert process.num_threads() == 1
