"""``wsi config``: the service's settings as they come out, and where each comes from."""

import json as json_format
import sys
import tomllib
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from pydantic_settings import EnvSettingsSource
from rich.console import Console
from rich.table import Table

from wsi_pipeline.cli.service import TOML, Json, load_settings
from wsi_pipeline.service.settings import ServiceSettings

_HIDDEN = "(hidden)"


def config(json: Json = False) -> None:
    """Show the service's settings: variables before wsi.toml in this folder before defaults.

    Flags of [bold]wsi serve[/] and [bold]wsi worker[/] come before all of them. Secrets are
    hidden.

    [bold]Examples[/]

        wsi config

        WSI_PORT=9000 wsi config --json
    """
    settings = load_settings()
    toml = tomllib.loads(TOML.read_text(encoding="utf-8")) if TOML.exists() else {}
    variables = EnvSettingsSource(ServiceSettings)()
    rows: dict[str, dict[str, Any]] = {}
    for name in ServiceSettings.model_fields:
        source = "default"
        if name in variables:
            source = f"WSI_{name.upper()}"
        elif name in toml:
            source = str(TOML)
        rows[name] = {"value": _shown(settings, name), "source": source}
    if json:
        sys.stdout.write(json_format.dumps(rows) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from"):
        table.add_column(title, overflow="fold")
    for name, row in rows.items():
        value = row["value"]
        text = value if isinstance(value, str) else json_format.dumps(value)
        style = "dim" if row["source"] == "default" else None
        table.add_row(name, text, row["source"], style=style)
    Console().print(table, highlight=False, markup=False)


def _shown(settings: ServiceSettings, name: str) -> Any:
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        return _HIDDEN
    if name == "database":
        return sa.make_url(settings.database_url).render_as_string(hide_password=True)
    if name == "storage":
        return settings.storage_url
    return settings.model_dump(mode="json")[name]
