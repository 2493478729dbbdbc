"""A small Dask cluster whose worker is in this process: its tasks can wait for what tests do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import distributed

from wsi_pipeline.run.scheduler import Scheduler, connect

_NOWHERE = "127.0.0.1:0"


@contextmanager
def cluster(threads: int, **resources: float) -> Iterator[Scheduler]:
    """One worker, which declares these resources."""
    dask: Any = distributed
    with (
        dask.LocalCluster(
            n_workers=1,
            threads_per_worker=threads,
            processes=False,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address=_NOWHERE,
            worker_dashboard_address=_NOWHERE,
            resources=resources,
        ) as started,
        connect(started.scheduler_address, 1) as connected,
    ):
        yield connected
