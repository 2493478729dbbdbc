"""What the service's verbs share: settings with flags on top, the database, lengths of time."""

import contextlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from wsi_pipeline.errors import UsageError
from wsi_pipeline.jobs import schema
from wsi_pipeline.jobs.database import Database
from wsi_pipeline.jobs.settings import ServiceSettings

STORE = "Where everything is kept"
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Database, uploads, slides and results. [dim]\\[WSI_DATA_DIR][/]",
        rich_help_panel=STORE,
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="postgresql+psycopg://USER@HOST/NAME instead of SQLite. [dim]\\[WSI_DATABASE][/]",
        rich_help_panel=STORE,
    ),
]
StorageUrl = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Slides and results: a folder or s3://BUCKET/PREFIX. [dim]\\[WSI_STORAGE][/]",
        rich_help_panel=STORE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def load_settings(**flags: Any) -> ServiceSettings:
    """The settings, with the flags that were given on top.

    Raises:
        UsageError: a value is wrong; the message says which and where it can come from.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return ServiceSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        flag = name.replace("_", "-")
        raise UsageError(
            f"{name}: {first['msg']} (from --{flag}, WSI_{name.upper()} or wsi.toml)"
        ) from error
    except (SettingsError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the settings cannot be read: {error}") from error


def as_variables(flags: Mapping[str, Any]) -> dict[str, str]:
    """Flags that were given as ``WSI_…`` variables, for a process that is started with them."""
    return {
        f"WSI_{name.upper()}": value if isinstance(value, str) else _written(value)
        for name, value in flags.items()
        if value is not None
    }


@contextlib.contextmanager
def open_database(settings: ServiceSettings) -> Iterator[Database]:
    """The service's database, with this version's tables.

    Raises:
        SchemaError: it has other tables.
        UsageError: there is none.
    """
    if settings.database is None and not (settings.data_dir / "service.db").exists():
        raise UsageError(
            f"there is no database in {settings.data_dir}; `wsi serve` or `wsi migrate` makes one, "
            "--data-dir names another folder"
        )
    database = Database(settings.database_url)
    try:
        schema.check(database)
        yield database
    finally:
        database.close()


def seconds_of(text: str) -> float:
    """A length of time such as ``90d``, ``12h``, ``30m`` or ``10s``, in seconds.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{text!r} is no length of time; write 90d, 12h, 30m or 10s")
    return float(int(found[1]) * _UNITS[found[2]])


def _written(value: object) -> str:
    return str(value) if isinstance(value, Path | int | float) else json.dumps(value)
