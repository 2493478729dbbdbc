"""A database with the service's tables, and a workspace to ask from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from wsi_pipeline.service import schema
from wsi_pipeline.service.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'service.db'}")
    schema.migrate(opened)
    yield opened
    opened.close()
