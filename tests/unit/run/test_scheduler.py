"""Schedulers that are not there; what those that are do is in the contract suite."""

import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.run import cluster
from wsi_pipeline.run.scheduler import connect


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://nowhere"])
def test_no_scheduler_is_a_usage_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(UsageError, match=f"no Dask scheduler answers at {address}"),
        connect(address, 1),
    ):
        pytest.fail("it connected")
