"""Where ``wsi serve`` says the token: to a person in a terminal, and to no log."""

import contextlib
import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

GIVEN = "wsi_a_token_that_the_user_chose"


@contextlib.contextmanager
def serving(folder: Path, stdout: int, **variables: str) -> Iterator[None]:
    """The server, which writes to a descriptor and its log to a file."""
    command = [sys.executable, "-m", "wsi_pipeline.cli", "serve", "--workers", "0", "--no-demo"]
    command += ["--port", "0", "--data-dir", str(folder / "data")]
    inherited = {name: value for name, value in os.environ.items() if name != "WSI_TOKEN"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=log, env={**inherited, **variables}, cwd=folder
        )
    os.close(stdout)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def lines_of(descriptor: int, count: int) -> list[str]:
    """The first lines that were written there."""
    text, deadline = b"", time.monotonic() + 120
    while text.count(b"\n") < count:
        assert time.monotonic() < deadline, text
        text += os.read(descriptor, 4096)
    return text.decode().replace("\r\n", "\n").splitlines()


def test_a_log_gets_the_name_of_a_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with serving(tmp_path, writing, WSI_TOKEN=GIVEN):
        address, told = lines_of(reading, 2)
        with urllib.request.urlopen(f"{address}healthz", timeout=30) as answer:
            assert answer.status == 200
    os.close(reading)
    file = tmp_path / "data" / "token"
    assert file.read_text() == f"{GIVEN}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert urlsplit(address).query == ""
    assert told == f"the token that signs in is in {file}"
    log = (tmp_path / "log").read_text()
    assert GIVEN not in log
    assert str(file) in [json.loads(line).get("file") for line in log.splitlines()]


def test_a_person_gets_the_whole_address(tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    with serving(tmp_path, inner):
        (address,) = lines_of(terminal, 1)
    os.close(terminal)
    token = (tmp_path / "data" / "token").read_text().strip()
    assert urlsplit(address).query == f"token={token}"
    assert token not in (tmp_path / "log").read_text()
