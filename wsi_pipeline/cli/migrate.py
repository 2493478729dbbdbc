"""``wsi migrate``: brings the service's database to this version's tables."""

import json as json_format
import sys

from rich.console import Console

from wsi_pipeline.cli.service import DatabaseUrl, DataDir, Json, load_settings, plain_errors
from wsi_pipeline.service import schema
from wsi_pipeline.service.database import Database


def migrate(data_dir: DataDir = None, database: DatabaseUrl = None, json: Json = False) -> None:
    """Make or bring up to date the tables of the service's database.

    [bold]wsi serve[/] does so by itself on SQLite. On PostgreSQL, stop the service first and keep
    a backup.

    [bold]Example[/]

        wsi migrate --database postgresql+psycopg://wsi@db/wsi
    """
    settings = load_settings(data_dir=data_dir, database=database)
    if settings.database is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    opened = Database(settings.database_url)
    try:
        with plain_errors():
            before, after = schema.migrate(opened)
    finally:
        opened.close()
    if json:
        sys.stdout.write(json_format.dumps({"before": before, "after": after}) + "\n")
        return
    said = "is up to date" if before == after else f"went from {before or 'nothing'} to {after}"
    Console().print(f"[green]✓[/] the database {said}", highlight=False)
