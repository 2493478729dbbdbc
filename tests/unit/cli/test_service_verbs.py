"""The service's verbs: what is wrong is told in one line, before anything starts."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from wsi_pipeline import cli
from wsi_pipeline.service.database import Database
from wsi_pipeline.service.sessions import Sessions


class Run:
    """``wsi`` in this process, in a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: Any, folder: Path) -> None:
        self._patch = monkeypatch
        self._capsys = capsys
        self.data = folder / "data"
        monkeypatch.chdir(folder)
        monkeypatch.setenv("WSI_DATA_DIR", str(self.data))
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("NO_COLOR", "1")

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._patch.setattr("sys.argv", ["wsi", *map(str, arguments)])
        self._capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        text = self._capsys.readouterr()
        assert isinstance(code, int), code
        return code, text.out, text.err


@pytest.fixture
def wsi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return Run(monkeypatch, capsys, tmp_path)


def refused(run: Run, *arguments: object, code: int = 2) -> str:
    """The one line that says why."""
    got, out, err = run(*arguments)
    assert (got, out) == (code, ""), err
    assert err.count("\n") == 1, err
    assert err.startswith("wsi: ")
    return err


def test_a_setting_nobody_knows_is_refused(wsi: Run, tmp_path: Path) -> None:
    (tmp_path / "wsi.toml").write_text('databse = "postgresql+psycopg://db/wsi"\n')
    for verb in (["config"], ["serve"], ["worker"], ["keys", "list"]):
        said = refused(wsi, *verb)
        assert "databse" in said
        assert "did you mean database?" in said
    (tmp_path / "wsi.toml").write_text("zzz = 1\n")
    assert "`wsi config` lists them" in refused(wsi, "config")
    (tmp_path / "wsi.toml").write_text("port = \n")
    assert "wsi.toml cannot be read" in refused(wsi, "config")


def test_lists_in_variables_are_explained(wsi: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSI_ROOTS", "/slides")
    said = refused(wsi, "config")
    assert """WSI_ROOTS='["/slides"]'""" in said
    monkeypatch.setenv("WSI_ROOTS", '["/slides"]')
    _, out, _ = wsi("config", "--json")
    assert json.loads(out)["roots"] == {"value": ["/slides"], "source": "WSI_ROOTS"}


def test_where_a_setting_comes_from(
    wsi: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wsi.toml").write_text('port = 9000\nhost = "127.0.0.2"\nstorage = "store"\n')
    monkeypatch.setenv("WSI_PORT", "9001")
    monkeypatch.setenv("WSI_TOKEN", "a-secret-of-somebody")
    _, out, _ = wsi("config", "--json")
    found = json.loads(out)
    assert found["port"] == {"value": 9001, "source": "WSI_PORT"}
    assert found["host"] == {"value": "127.0.0.2", "source": "wsi.toml"}
    assert found["workers"] == {"value": 1, "source": "default"}
    assert found["storage"]["value"] == str(tmp_path / "store"), "whoever starts it from where"
    assert "a-secret" not in out


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_a_storage_that_cannot_be_is_refused(wsi: Run, tmp_path: Path, verb: str) -> None:
    assert "s3://bucket/prefix" in refused(wsi, verb, "--storage", "ftp://host/slides")
    assert "s3://bucket/prefix" in refused(wsi, verb, "--storage", "s3://")
    (tmp_path / "file").touch()
    said = refused(wsi, verb, "--storage", tmp_path / "file" / "store")
    assert "Not a directory" in said
    assert "--storage" in said
    assert not (tmp_path / "ftp:").exists()


def test_a_data_folder_that_cannot_be_is_refused(wsi: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "data"):
        said = refused(wsi, "serve", "--data-dir", folder)
        assert "--data-dir" in said


def test_a_database_that_does_not_answer_is_one_line(wsi: Run) -> None:
    address = "postgresql+psycopg://wsi:geheim@127.0.0.1:9/wsi"
    verbs = (["serve", "--port", "0"], ["worker"], ["migrate"], ["keys", "list"])
    for verb in (*verbs, ["audit", "verify"]):
        said = refused(wsi, *verb, "--database", address, code=1)
        assert "the database cannot be used" in said
        assert "geheim" not in said


def test_a_file_that_is_no_database(wsi: Run) -> None:
    wsi.data.mkdir()
    (wsi.data / "service.db").write_bytes(bytes(range(256)) * 20)
    for verb in (["serve", "--port", "0"], ["worker"], ["migrate"], ["keys", "list"], ["gc"]):
        assert "not a database" in refused(wsi, *verb, code=1)


def test_a_database_of_a_newer_version_is_left_alone(wsi: Run) -> None:
    assert wsi("migrate")[0] == 0
    with sqlite3.connect(wsi.data / "service.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for verb in (["serve", "--port", "0"], ["worker"], ["migrate"], ["keys", "list"]):
        assert "newer version" in refused(wsi, *verb, code=3)


def test_keys_are_made_shown_whole_and_revoked(wsi: Run) -> None:
    wsi("migrate")
    code, secret, said = wsi("keys", "create", "scanner room", "--scope", "submit")
    assert code == 0
    assert secret.startswith("wsi_")
    assert secret.count("\n") == 1
    made = json.loads(wsi("keys", "list", "--json")[1])[0]
    assert made["id"] in said
    assert made["id"] in wsi("keys", "list")[1], "it has to be copied from there"
    assert "key" not in made
    assert wsi("keys", "revoke", made["id"])[0] == 0
    assert json.loads(wsi("keys", "list", "--json")[1])[0]["revoked_at"]
    assert "wsi keys list" in refused(wsi, "keys", "revoke", "0" * 32)
    assert "90d" in refused(wsi, "keys", "create", "x", "--expires", "soon")
    assert "line end" in refused(wsi, "keys", "create", "a\nb")
    assert "line end" in refused(wsi, "keys", "create", "a", "--workspace", "a\u2028b")
    code, out, _ = wsi("audit", "verify", "--json")
    assert (code, json.loads(out)["lines"]) == (0, 2)


def test_browsers_are_listed_and_signed_out(wsi: Run) -> None:
    wsi("migrate")
    secret = wsi("keys", "create", "Ann")[1].strip()
    (key,) = json.loads(wsi("keys", "list", "--json")[1])
    database = Database(f"sqlite:///{wsi.data / 'service.db'}")
    sessions = Sessions(database, idle_seconds=60, absolute_seconds=60)
    for _ in range(3):
        assert sessions.start(secret) is not None
    listed = json.loads(wsi("keys", "sessions", "--json")[1])
    assert [(one["key_name"], one["key_id"]) for one in listed] == [("Ann", key["id"])] * 3
    first = listed[0]["id"]
    assert first in wsi("keys", "sessions")[1], "it has to be copied from there"
    assert "1 signed out" in wsi("keys", "sign-out", first)[1]
    assert "wsi keys sessions" in refused(wsi, "keys", "sign-out", first)
    assert "--key" in refused(wsi, "keys", "sign-out")
    assert "--key" in refused(wsi, "keys", "sign-out", first, "--key", key["id"])
    out = wsi("keys", "sign-out", "--key", key["id"], "--json")[1]
    assert json.loads(out) == {"signed_out": 2}
    assert json.loads(wsi("keys", "sessions", "--json")[1]) == []
    assert "wsi keys list" in refused(wsi, "keys", "sign-out", "--key", "0" * 32)
    assert "3 × session" in wsi("gc", "--dry-run")[1]
    assert "3 × session" in wsi("gc")[1]
    assert "nothing to remove" in wsi("gc")[1]
    database.close()


def test_an_empty_password_is_told(wsi: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql+psycopg://wsi:@database:5432/wsi"
    for verb in ("serve", "worker", "migrate"):
        said = refused(wsi, verb, "--database", address)
        assert said.startswith("wsi: database: the password in the address is empty (from --data")
