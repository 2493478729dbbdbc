"""Tasks for GPUs go to workers that say they have one."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest
from cluster_support import cluster

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.regions import RegionTask

#: Where two tasks wait for each other.
TOGETHER = threading.Barrier(2)


class Task:
    """Stands for a region; ``runtime`` is what a scheduler looks at."""

    class runtime:  # noqa: N801 - stands for an attribute
        device = "cuda:0"


def meet(_: object) -> Any:
    TOGETHER.wait(60)
    return "met"


def test_a_worker_with_a_gpu_works_on_as_many_regions_as_it_has_threads() -> None:
    tasks = [cast("RegionTask", Task()) for _ in range(2)]
    with cluster(2, GPU=1) as scheduler:
        met: list[Any] = list(scheduler.run(iter(tasks), meet))
    assert met == ["met"] * 2


def test_a_cluster_without_gpus_says_so(package: ModelPackage, tmp_path: Path) -> None:
    """Dask would wait for ever for a worker that has one."""
    request = RuntimeRequest("cuda:0", "fp32", tmp_path, "torch")
    with cluster(2) as scheduler, pytest.raises(UsageError, match=r"--resources \"GPU=1\""):
        scheduler.describe(package, request, 0.5)
