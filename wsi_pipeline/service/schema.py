"""Bringing the database to the tables this version needs, and noticing when it is not there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from wsi_pipeline.errors import WsiError
from wsi_pipeline.service.database import Database


class SchemaError(WsiError):
    """The database's tables are not those of this version."""


def migrate(database: Database) -> tuple[str | None, str]:
    """Run the migrations that are missing; returns the revision before and after.

    Raises:
        SchemaError: the database is of a newer version.
    """
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            # Two servers that start at once must not both create the tables.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5712983)")
        before = _revision(connection)
        if before is not None and not _is_known(before):
            raise SchemaError(_newer(before))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, head()


def check(database: Database) -> None:
    """Check that the database is at this version's revision.

    Raises:
        SchemaError: it is older, newer or empty; the message says what to do.
    """
    with database.read() as connection:
        found = _revision(connection)
    if found == head():
        return
    if found is None:
        raise SchemaError("the database has no tables yet; run `wsi migrate`")
    if _is_known(found):
        raise SchemaError(f"the database is at revision {found}, older; run `wsi migrate`")
    raise SchemaError(_newer(found))


def head() -> str:
    """The revision this version needs."""
    revision = _scripts().get_current_head()
    assert revision is not None
    return revision


def _is_known(revision: str) -> bool:
    return revision in {script.revision for script in _scripts().walk_revisions()}


def _newer(revision: str) -> str:
    return f"the database is at revision {revision}, of a newer version; update this one"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
