"""Databases of both kinds, for the suites that hold them to the same contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs_support import Store
from servers_support import PostgresServer, postgres_server

from wsi_pipeline.service import schema
from wsi_pipeline.service.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'service.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    made = server.database()
    yield made
    server.drop(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    database = Database(url)
    schema.migrate(database)
    yield Store(database)
    database.close()
