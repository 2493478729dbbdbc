"""The process that computes: ``python -m workers.analysis PID``, started by a worker.

Orders come in as lines, what there is to tell goes out as lines. It may be killed at any moment,
and is: on cancel, and with its worker. It never outlives the worker, the process ``PID``: the
kernel sees to that, and, where that is not possible, the end of standard input.
"""

import ctypes
import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
from typing import BinaryIO

from workers.messages import AnalysisSetup, Logged, Message, Order, Ready, message_line
from wsi_pipeline.service import logs

log = logging.getLogger("workers.analysis")

_PR_SET_PDEATHSIG = 1
#: Where the API shares this machine, people who look at slides wait for it; a job waits for nobody.
_NICENESS = 10
#: Facts of a record that the worker's own record of it has anyway.
_REPEATED = ("time", "level", "logger", "message")


def main() -> None:
    """Carry out orders until standard input ends."""
    _die_with(int(sys.argv[1]))
    os.nice(_NICENESS)
    faulthandler.enable()
    # What libraries print must not get between the messages.
    output = os.dup(1)
    os.dup2(2, 1)
    teller = _Teller(output)
    handler = _ToldLog(teller)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    equipment = AnalysisSetup.parse(sys.stdin.buffer.readline())
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(
        target=_listen, args=(sys.stdin.buffer, orders), name="orders", daemon=True
    ).start()
    try:
        # Here: this takes seconds, in which the worker can already kill us.
        from workers.analyst import Analyst, failed  # noqa: PLC0415 - OpenVINO, Dask, zarr

        analyst = Analyst(equipment, teller.tell)
    except Exception:
        log.exception("the analysis process cannot start")
        raise
    teller.tell(Ready())
    while True:
        order = orders.get()
        with logs.bound(job_id=order.job_id):
            try:
                done: Message = analyst.analyse_order(order)
            except Exception as error:  # told to the worker, which decides
                done = failed(error, order)
            teller.tell(done)


def _die_with(parent: int) -> None:
    """Be killed when the worker ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was said
        os._exit(1)


def _listen(lines: BinaryIO, orders: "queue.SimpleQueue[Order]") -> None:
    for line in lines:
        orders.put(Order.parse(line))
    os.kill(os.getpid(), signal.SIGKILL)


class _Teller:
    """Writes messages, each whole, from any thread."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._lock = threading.Lock()

    def tell(self, message: Message) -> None:
        left = memoryview(message_line(message))
        with self._lock:
            while left:
                left = left[os.write(self._output, left) :]


class _ToldLog(logging.Handler):
    """Sends log records to the worker, which writes them."""

    def __init__(self, teller: _Teller) -> None:
        super().__init__()
        self._teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        facts = logs.facts_of(record)
        message = facts["message"]
        for repeated in _REPEATED:
            facts.pop(repeated)
        self._teller.tell(Logged(record.levelno, message, {**facts, "in": record.name}))


if __name__ == "__main__":
    main()
