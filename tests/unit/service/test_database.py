"""The database file, opened while somebody else is at work on it."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from wsi_pipeline.service.database import Database

_HELD_SECONDS = 0.2


def test_opening_waits_for_a_writer_of_a_file_without_a_log_yet(tmp_path: Path) -> None:
    path = tmp_path / "service.db"

    def opened() -> Any:
        database = Database(f"sqlite:///{path}")
        try:
            with database.read() as connection:
                return connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        finally:
            database.close()

    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE made (at)")
        writer.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(opened)
            time.sleep(_HELD_SECONDS)
            assert not opening.done()
            writer.execute("COMMIT")
            assert opening.result(30) == "wal"
