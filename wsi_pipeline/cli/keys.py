"""``wsi keys``: makes, lists and revokes API keys, on the machine of the service."""

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
    seconds_of,
)
from wsi_pipeline.jobs.access import Scope
from wsi_pipeline.jobs.keys import DEFAULT_WORKSPACE, ApiKey, ApiKeys

app = typer.Typer(
    help="Make, list and revoke API keys.",
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
        str, typer.Option(help="Whose slides and jobs it sees; made if it is new.")
    ] = DEFAULT_WORKSPACE,
    expires: Annotated[
        str | None,
        typer.Option(help="How long it is good: 90d, 12h. [dim]\\[default: for ever][/]"),
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
    until = f", good until {_day(made.expires_at)}" if made.expires_at else ""
    console.print(
        f"key {made.id}: {made.scope} in workspace {made.workspace}{until}; this is it, once:",
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
    """Make a key worthless, at once and for good.

    [bold]Example[/]

        wsi keys revoke 3f2a…
    """
    with open_database(load_settings(data_dir=data_dir, database=database)) as opened:
        revoked = ApiKeys(opened).revoke(key_id)
    if json:
        sys.stdout.write(json_format.dumps(_facts(revoked)) + "\n")
        return
    Console().print(f"[green]✓[/] {revoked.id} is revoked", highlight=False)


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
