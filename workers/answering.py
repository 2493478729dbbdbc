"""The process that answers questions: ``python -m workers.answering PID``, started by a worker.

It is killed when it hangs, and with its worker, the process ``PID``.
"""

from collections.abc import Callable

from workers.child import Tell, carry_out
from workers.messages import Query, WorkerSetup

#: Somebody waits for an answer: before analyses, behind the API.
_NICENESS = 5


def main() -> None:
    """Answer until standard input ends."""
    carry_out(Query.parse, _begin, niceness=_NICENESS)


def _begin(equipment: WorkerSetup, tell: Tell) -> Callable[[Query], None]:
    from workers.desk import Desk  # noqa: PLC0415 - OpenVINO, Pillow, SciPy

    return Desk(equipment, tell).answer


if __name__ == "__main__":
    main()
