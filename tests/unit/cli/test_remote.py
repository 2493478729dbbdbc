"""The options all commands of ``wsi client`` share reach them as one value."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from wsi_pipeline.cli.client import app
from wsi_pipeline.cli.remote import LOCAL, Remote, with_remote


def test_a_command_gets_the_shared_options_as_one_value(tmp_path: Path) -> None:
    given: list[tuple[str, Remote]] = []
    probe = typer.Typer()

    @probe.command()
    @with_remote
    def look(job: str, *, remote: Remote) -> None:
        given.append((job, remote))

    run = CliRunner().invoke
    key = tmp_path / "key"
    assert run(probe, ["a"], env={"WSI_URL": None, "WSI_TOKEN": None}).exit_code == 0
    told = run(probe, ["b", "--url", "http://h", "--token-file", str(key), "--json", "-q"])
    assert told.exit_code == 0, told.output
    assert run(probe, ["c"], env={"WSI_TOKEN": "secret"}).exit_code == 0
    assert given == [
        ("a", Remote(LOCAL)),
        ("b", Remote("http://h", token_file=key, json=True, quiet=True)),
        ("c", Remote(LOCAL, token="secret")),
    ]


@pytest.mark.parametrize(
    "command", ["submit", "status", "wait", "cancel", "share", "upload", "fetch"]
)
def test_every_command_has_them(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"], terminal_width=200)
    for option in ("--url", "--token", "--token-file", "--json", "--quiet"):
        assert option in told.output
