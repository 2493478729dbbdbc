"""One database, SQLite or PostgreSQL, behind the same two doors: ``write()`` and ``read()``.

SQLite: write-ahead log, ``synchronous=FULL`` (what was acknowledged survives a power cut), and
every writing transaction begins with ``BEGIN IMMEDIATE``: a deferred one that starts reading and
then writes fails with "database is locked" under load, whatever the timeout.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from wsi_pipeline.errors import UsageError

#: How long a writer waits for another one, seconds. Transactions here take milliseconds.
_BUSY_SECONDS = 60
#: How often it is tried again where SQLite does not wait itself, seconds.
_LOOK_SECONDS = 0.01
#: Bits of SQLite's extended codes of errors that say which kind it is.
_PRIMARY_CODE = 0xFF
_IMMEDIATE = "wsi_immediate"
# Not unixepoch('subsec'): Python may come with a SQLite older than 3.42.
_WALL_CLOCK = "((julianday('now') - 2440587.5) * 86400.0)"
#: The time on SQLite. A wall clock can be set back, and then whatever was to happen "now" would
#: be an hour away: waiting jobs, leases of dead workers, turns. So the last time that was written
#: down is kept, and from there time goes on at half speed until the wall clock has caught up.
#: The file's processes are all of one host: they share the seconds since it was started.
_SERVICE_CLOCK = (
    f"max({_WALL_CLOCK}, coalesce((SELECT clock.at"  # noqa: S608 - of our own words
    " + 0.5 * max(0.0, wsi_uptime() - clock.uptime) FROM clock), 0.0))"
)
#: Run at the beginning of every change: no time that is written is ahead of the one kept.
_KEEP_TIME = f"UPDATE clock SET at = {_SERVICE_CLOCK}, uptime = wsi_uptime()"  # noqa: S608 - as above
_HAS_CLOCK = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'clock'"


class now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since 1970 by the database's clock: hosts of workers disagree, it does not.

    On SQLite it never goes back. On PostgreSQL it is the clock of the server's host.
    """

    type = sa.Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    return _SERVICE_CLOCK


@compiles(now, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    # Not now(): that is when the transaction began.
    return "extract(epoch from clock_timestamp())::double precision"


class Database:
    """Connections to the service's database. Safe to share between threads.

    Args:
        url: ``sqlite:////path/to.db`` or ``postgresql+psycopg://user:password@host/name``.

    Raises:
        UsageError: the address is of neither kind.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError as error:
            raise UsageError(f"database address {url!r} cannot be read: {error}") from error
        self.dialect = parsed.get_backend_name()
        self._clock_seen = False
        if self.dialect not in ("sqlite", "postgresql"):
            raise UsageError(
                f"database address of kind {self.dialect!r}; use sqlite:////file.db or "
                "postgresql+psycopg://user@host/name"
            )
        if self.dialect == "sqlite":
            self.engine = sa.create_engine(
                parsed, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
            )
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = sa.create_engine(parsed, pool_pre_ping=True, pool_size=10)

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may write; committed at the end, rolled back on an error."""
        with self.engine.connect() as connection:
            writing = connection.execution_options(**{_IMMEDIATE: True})
            with writing.begin():
                if self._has_clock(writing):
                    writing.exec_driver_sql(_KEEP_TIME)
                yield writing

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads: one consistent view, in nobody's way."""
        with self.engine.connect() as connection:
            reading = connection.execution_options(**{_IMMEDIATE: False})
            with reading.begin():
                yield reading

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _has_clock(self, connection: sa.Connection) -> bool:
        """Whether there is a time to be kept: on SQLite, once the tables are made."""
        if self.dialect == "sqlite" and not self._clock_seen:
            self._clock_seen = connection.exec_driver_sql(_HAS_CLOCK).first() is not None
        return self._clock_seen


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.create_function("wsi_uptime", 0, _uptime)
    connection.isolation_level = None  # transactions begin where we say, not where sqlite3 guesses
    cursor = connection.cursor()
    _keep_a_log(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _keep_a_log(cursor: sqlite3.Cursor) -> None:
    """Have changes written to a log ahead.

    Of a new file this needs it alone, and SQLite does not wait for others that open it too,
    whatever the timeout.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _uptime() -> float:
    """Seconds since the host was started, which nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
