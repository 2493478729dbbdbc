"""Regions on a real Dask cluster of other processes, over TCP on this machine."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance_support import Wsi, assert_same_arrays


@pytest.fixture
def scheduler(wsi: Wsi, tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with two worker processes."""
    program = (
        "from distributed import LocalCluster\n"
        "import sys\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, host='127.0.0.1',\n"
        "                      dashboard_address='127.0.0.1:0',\n"
        "                      worker_dashboard_address='127.0.0.1:0') as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    script = tmp_path / "cluster.py"
    script.write_text(program)
    with subprocess.Popen(
        [sys.executable, script],
        env=wsi.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"tcp://127\.0\.0\.1:\d+", address)
        yield address
        process.stdin.close()
        process.wait(timeout=60)


@pytest.mark.slow
def test_a_cluster_gives_the_same_arrays(
    wsi: Wsi, slide: Path, tmp_path: Path, scheduler: str
) -> None:
    options = ("--stride", "64", "--precision", "int8")
    code, _ = wsi.run(slide, "-o", tmp_path / "here", *options)
    assert code == 0
    code, summary = wsi.run(slide, "-o", tmp_path / "there", *options, "--scheduler", scheduler)
    assert code == 0, summary
    assert_same_arrays(tmp_path / "here" / "planted.zarr", tmp_path / "there" / "planted.zarr")
