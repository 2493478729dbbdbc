"""The process that analyses slides: ``python -m workers.analysis PID``, started by a worker.

It is killed on cancel, and with its worker, the process ``PID``.
"""

from collections.abc import Callable

from workers.child import Tell, carry_out
from workers.messages import Order, WorkerSetup
from wsi_pipeline.service import logs

#: Where the API shares this machine, people who look at slides wait for it; a job waits for nobody.
_NICENESS = 10


def main() -> None:
    """Carry out orders until standard input ends."""
    carry_out(Order.parse, _begin, niceness=_NICENESS)


def _begin(equipment: WorkerSetup, tell: Tell) -> Callable[[Order], None]:
    from workers.analyst import Analyst, failed  # noqa: PLC0415 - OpenVINO, Dask, zarr

    analyst = Analyst(equipment, tell)

    def analyse(order: Order) -> None:
        with logs.bound(job_id=order.job_id):
            try:
                tell(analyst.analyse_order(order))
            except Exception as error:  # told to the worker, which decides
                tell(failed(error, order))

    return analyse


if __name__ == "__main__":
    main()
