"""``wsi keys``: API keys and the browsers signed in with them, on the machine of the service."""

import datetime as dt
import json as json_format
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.service import (
    DatabaseUrl,
    DataDir,
    Json,
    load_settings,
    open_database,
    open_sessions,
    seconds_of,
)
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Scope
from wsi_pipeline.service.keys import DEFAULT_WORKSPACE, ApiKey, ApiKeys
from wsi_pipeline.service.sessions import Session

app = typer.Typer(
    help="Make, list and revoke API keys; list browsers and sign them out.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    scope: Annotated[
        Scope, typer.Option(help="view; submit adds uploads and jobs; admin adds the rest.")
    ] = Scope.VIEW,
    workspace: Annotated[
        str, typer.Option(help="Workspace of the key; created if it is new.")
    ] = DEFAULT_WORKSPACE,
    expires: Annotated[
        str | None,
        typer.Option(help="How long it is valid: 90d, 12h. [dim]\\[default: without limit][/]"),
    ] = None,
    data_dir: DataDir = None,
    database: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Make a key and print it. It is kept nowhere and cannot be shown again.

    [bold]Examples[/]

        wsi keys create "scanner room" --scope submit --expires 365d

        KEY=$(wsi keys create viewer --workspace lung)
    """
    lifetime = None if expires is None else seconds_of(expires)
    with open_database(load_settings(data_dir=data_dir, database=database)) as opened:
        made, secret = ApiKeys(opened).create(workspace, name, scope, lifetime)
    if json:
        sys.stdout.write(json_format.dumps({**_facts(made), "key": secret}) + "\n")
        return
    until = f", valid until {_day(made.expires_at)}" if made.expires_at else ""
    console.print(
        f"key {made.id}: {made.scope} in workspace {made.workspace}{until}; it is shown only once:",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    sys.stdout.write(secret + "\n")


@app.command("list")
def list_keys(data_dir: DataDir = None, database: DatabaseUrl = None, json: Json = False) -> None:
    """List all keys, without the secrets.

    [bold]Example[/]

        wsi keys list
    """
    with open_database(load_settings(data_dir=data_dir, database=database)) as opened:
        found = ApiKeys(opened).list()
    if json:
        sys.stdout.write(json_format.dumps([_facts(key) for key in found]) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)  # to be copied
    for title in ("workspace", "name", "scope", "made", "expires", "revoked"):
        table.add_column(title, overflow="fold")
    for key in found:
        days = (_day(key.created_at), _day(key.expires_at), _day(key.revoked_at))
        table.add_row(key.id, key.workspace, key.name, key.scope, *days)
    Console().print(table, highlight=False, markup=False)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `wsi keys list` shows it.")],
    data_dir: DataDir = None,
    database: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Make a key worthless, at once and for good. Browsers and links end with it.

    [bold]Example[/]

        wsi keys revoke 3f2a…
    """
    with open_database(load_settings(data_dir=data_dir, database=database)) as opened:
        revoked = ApiKeys(opened).revoke(key_id)
    if json:
        sys.stdout.write(json_format.dumps(_facts(revoked)) + "\n")
        return
    Console().print(f"[green]✓[/] {revoked.id} is revoked", highlight=False)


@app.command("sessions")
def list_sessions(
    data_dir: DataDir = None, database: DatabaseUrl = None, json: Json = False
) -> None:
    """List the browsers that are signed in.

    [bold]Example[/]

        wsi keys sessions
    """
    settings = load_settings(data_dir=data_dir, database=database)
    with open_database(settings) as opened:
        found = open_sessions(opened, settings).list()
    if json:
        sys.stdout.write(json_format.dumps([_session_facts(one) for one in found]) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("id", no_wrap=True)  # to be copied
    for title in ("workspace", "key", "scope", "signed in", "last used", "ends"):
        table.add_column(title, overflow="fold")
    for one in found:
        times = (one.created_at, one.used_at, min(one.idle_until, one.expires_at))
        table.add_row(one.id, one.workspace, one.key_name, one.scope, *map(_minute, times))
    Console().print(table, highlight=False, markup=False)


@app.command("sign-out")
def sign_out(
    session_id: Annotated[
        str | None, typer.Argument(help="The session's id, as `wsi keys sessions` shows it.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Sign out all browsers of this key instead; its id.")
    ] = None,
    data_dir: DataDir = None,
    database: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Sign a browser out, or all that are signed in with one key. The key stays good.

    [bold]Examples[/]

        wsi keys sign-out 3f2a…

        wsi keys sign-out --key 77d0…
    """
    if (session_id is None) == (key is None):
        raise UsageError("name a session, or a key with --key; `wsi keys sessions` shows both")
    settings = load_settings(data_dir=data_dir, database=database)
    with open_database(settings) as opened:
        sessions = open_sessions(opened, settings)
        if key is not None:
            count = sessions.end_all(key)
        elif session_id is not None and sessions.end(session_id):
            count = 1
        else:
            raise UsageError(f"there is no session {session_id}; `wsi keys sessions` shows them")
    if json:
        sys.stdout.write(json_format.dumps({"signed_out": count}) + "\n")
        return
    Console().print(f"[green]✓[/] {count} signed out", highlight=False)


def _session_facts(session: Session) -> dict[str, Any]:
    times = ("created_at", "used_at", "idle_until", "expires_at")
    return {
        "id": session.id,
        "workspace": session.workspace,
        "key_id": session.key_id,
        "key_name": session.key_name,
        "scope": session.scope,
        **{name: _rfc3339(getattr(session, name)) for name in times},
    }


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "workspace": key.workspace,
        "name": key.name,
        "scope": key.scope,
        "created_at": _rfc3339(key.created_at),
        "expires_at": _rfc3339(key.expires_at),
        "revoked_at": _rfc3339(key.revoked_at),
    }


def _rfc3339(seconds: float | None) -> str | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()


def _day(seconds: float | None) -> str:
    return "–" if seconds is None else f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d}"


def _minute(seconds: float) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M} UTC"
