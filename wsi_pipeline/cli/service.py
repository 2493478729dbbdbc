"""What the service's verbs share: settings with flags on top, the database, lengths of time."""

import contextlib
import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service import schema
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.sessions import Sessions
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.storage import open_storage

STORE = "Where data are kept"
#: Read in the working folder.
TOML = Path("wsi.toml")
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
        settings = ServiceSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(part) for part in first["loc"]] or ["settings"]
        name, flag = ".".join(path), path[0].replace("_", "-")
        reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            f"{name}: {reason} (from --{flag}, WSI_{path[0].upper()} or wsi.toml)"
        ) from error
    except SettingsError as error:
        raise UsageError(
            f"the settings cannot be read: {error}; a variable that holds a list is written as "
            """JSON, such as WSI_ROOTS='["/slides"]'"""
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"wsi.toml cannot be read: {error}") from error
    _check_names()
    return settings


def _check_names() -> None:
    """Refuse names in ``wsi.toml`` that nobody reads: a slip would leave the default in force."""
    known = list(ServiceSettings.model_fields)
    toml = tomllib.loads(TOML.read_text(encoding="utf-8")) if TOML.exists() else {}
    for name in toml:
        if name not in known:
            like = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {like[0]}?" if like else "`wsi config` lists them"
            raise UsageError(f"wsi.toml: there is no setting {name!r}; {hint}")


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
        OSError: it does not answer.
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
        with plain_errors():
            schema.check(database)
            yield database
    finally:
        database.close()


def open_sessions(database: Database, settings: ServiceSettings) -> Sessions:
    """The service's browser sessions."""
    return Sessions(
        database,
        idle_seconds=settings.session_idle_seconds,
        absolute_seconds=settings.session_seconds,
    )


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors of the database into one line.

    Raises:
        OSError: the database does not answer, or is none.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        # The first line says it; those below quote statements and values.
        reason = str(error.orig).partition("\n")[0]
        raise OSError(f"the database cannot be used: {reason}") from error


def check_storage(address: str) -> None:
    """Tell a wrong address, or a folder that cannot be written, before anything starts.

    Raises:
        UsageError: it is one of these.
    """
    storage = open_storage(address)
    if address.startswith("s3://"):
        return  # one that is away now may come back: /readyz tells
    try:
        storage.check()
    except OSError as error:
        raise UsageError(
            f"the storage {address} cannot be used: {error.strerror}; name another with --storage"
        ) from error


def seconds_of(text: str) -> float:
    """A length of time such as ``90d``, ``12h``, ``30m`` or ``10s``, in seconds.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or int(found[1]) == 0:
        raise UsageError(f"{text!r} is not a duration; write 90d, 12h, 30m or 10s")
    return float(int(found[1]) * _UNITS[found[2]])


def _written(value: object) -> str:
    return str(value) if isinstance(value, Path | int | float) else json.dumps(value)
