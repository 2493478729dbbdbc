"""What the processes that compute for a worker have in common.

Orders come in as lines, what there is to tell goes out as lines. Such a process may be killed at
any moment. It never outlives its worker: the kernel sees to that, and, where that is not possible,
the end of standard input.
"""

import ctypes
import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from workers.messages import Logged, Message, Ready, WorkerSetup, message_line
from wsi_pipeline.service import logs

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
#: Facts of a record that the worker's own record of it has anyway.
_REPEATED = ("time", "level", "logger", "message")

Tell = Callable[[Message], None]
Order = TypeVar("Order")


def carry_out(
    parse: Callable[[bytes], Order],
    begin: Callable[[WorkerSetup, Tell], Callable[[Order], None]],
    *,
    niceness: int,
) -> None:
    """Carry out orders until standard input ends; ``sys.argv`` names the worker's process.

    Args:
        parse: Makes an order of a line.
        begin: Does the imports, which take seconds, and returns what carries out an order. All
            that went wrong is told, not raised.
        niceness: How far this process steps back behind others.
    """
    _die_with(int(sys.argv[1]))
    os.nice(niceness)
    faulthandler.enable()
    # What libraries print must not get between the messages.
    output = os.dup(1)
    os.dup2(2, 1)
    teller = _Teller(output)
    handler = _ToldLog(teller)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    equipment = WorkerSetup.parse(sys.stdin.buffer.readline())
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(
        target=_listen, args=(sys.stdin.buffer, parse, orders), name="orders", daemon=True
    ).start()
    try:
        # Here: the worker can already kill us.
        work = begin(equipment, teller.tell)
    except Exception:
        log.exception("a process of the worker cannot start")
        raise
    teller.tell(Ready())
    while True:
        work(orders.get())


def _die_with(parent: int) -> None:
    """Be killed when the worker ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that was said
        os._exit(1)


def _listen(
    lines: BinaryIO, parse: Callable[[bytes], Order], orders: "queue.SimpleQueue[Order]"
) -> None:
    for line in lines:
        orders.put(parse(line))
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
