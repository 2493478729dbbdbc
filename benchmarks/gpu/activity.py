"""For which share of the time a GPU has work.

The runtime gives a GPU each batch as one CUDA graph. A CUDA event is recorded on the graph's
stream before and one behind each; the share is the length of the union of these intervals, over
all streams, through that of the time looked at. Copies to and from the GPU count where they
overlap a graph. It costs microseconds a batch, so it is on in the runs that are timed.
"""

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self

#: In the place of a share that cannot be told.
UNSEEN = "not measured: no CUDA graph was seen"
Interval = tuple[float, float]
"""Begin and end in seconds."""


def covered(intervals: Iterable[Interval], begin: float, end: float) -> float:
    """Seconds between ``begin`` and ``end`` that lie in at least one interval."""
    total, reached = 0.0, begin
    for first, last in sorted(intervals):
        start, stop = max(first, reached), min(last, end)
        if stop > start:
            total += stop - start
            reached = stop
    return total


@contextmanager
def watching_replays(starts: Callable[[], None], ends: Callable[[], None]) -> Iterator[None]:
    """While it lasts, call one before and one behind each CUDA graph's replay, on its thread.

    torch has hooks for this only since a version later than the oldest that is supported.
    """
    from torch.cuda import CUDAGraph  # noqa: PLC0415 - takes seconds

    usual = CUDAGraph.replay

    def replay(graph: CUDAGraph) -> None:
        starts()
        usual(graph)
        ends()

    CUDAGraph.replay = replay  # type: ignore[assignment, method-assign]  # put back below
    try:
        yield
    finally:
        CUDAGraph.replay = usual  # type: ignore[method-assign]  # as it was


class GraphActivity:
    """Notes when the GPU computes graphs, while it is entered.

    Args:
        device: ``cuda:N``.

    Attributes:
        intervals: After it is left: of each graph, on the clock of ``time.perf_counter``.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._running: dict[int, Any] = {}
        self._events: list[tuple[Any, Any]] = []
        self._watching = ExitStack()
        self.intervals: list[Interval] = []

    def __enter__(self) -> Self:
        import torch  # noqa: PLC0415 - takes seconds

        self._torch = torch
        torch.cuda.set_device(self._device)
        self._origin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch types it not
        self._origin.record()
        self._origin.synchronize()
        self._began = time.perf_counter()
        self._watching.enter_context(watching_replays(self._starts, self._ends))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._watching.close()
        if kind is not None:
            return  # after an error of the GPU, all that is asked of it fails with the same
        self._torch.cuda.synchronize()
        self.intervals = [
            tuple(self._began + self._origin.elapsed_time(event) / 1000 for event in both)
            for both in self._events
        ]

    def share(self, begin: float, end: float) -> float | str:
        """The share of a time in which the GPU had work; both on ``time.perf_counter``'s clock.

        :data:`UNSEEN` if no graph was seen at all: that is no measurement.
        """
        return UNSEEN if not self.intervals else covered(self.intervals, begin, end) / (end - begin)

    def _recorded(self) -> Any:
        event = self._torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch types it not
        event.record()  # on the stream of this thread, where the graph is put too
        return event

    def _starts(self) -> None:
        self._running[threading.get_ident()] = self._recorded()

    def _ends(self) -> None:
        self._events.append((self._running.pop(threading.get_ident()), self._recorded()))


class DriverUtilisation:
    """What NVIDIA's driver reports meanwhile: the share of short periods in which a kernel ran.

    Args:
        device: ``cuda:N``.
    """

    def __init__(self, device: str) -> None:
        number = device.partition(":")[2] or "0"
        query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        self._command = ["nvidia-smi", "-i", number, *query, "-lms", "200"]
        self._process: subprocess.Popen[bytes] | None = None
        self._shown: IO[bytes] | None = None
        self.percent: list[float] = []

    def __enter__(self) -> Self:
        if shutil.which("nvidia-smi"):
            self._shown = tempfile.TemporaryFile()
            self._process = subprocess.Popen(
                self._command, stdout=self._shown, stderr=subprocess.DEVNULL
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None or self._shown is None:
            return
        self._process.terminate()
        self._process.wait()
        self._shown.seek(0)
        lines = self._shown.read().decode(errors="replace").split()
        self.percent = [float(line) for line in lines if line.isdigit()]
        self._shown.close()


def driver_facts() -> dict[str, str] | None:
    """Name of the card and version of the driver; None where NVIDIA's driver does not say."""
    if not shutil.which("nvidia-smi") or not any(Path("/dev").glob("nvidia[0-9]*")):
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        return None
    name, driver, memory = (part.strip() for part in done.stdout.splitlines()[0].split(","))
    return {"card": name, "driver": driver, "memory": memory}
