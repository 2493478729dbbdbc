"""A confined child writes, reads, connects and starts nothing beyond what it needs."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from wsi_pipeline.importing.confined_call import (
    ConfinedCallError,
    ConfinedLimits,
    call_confined,
)

#: Runs what it is given between beginning and end; the kernel's refusals are its answer.
_MODULE = """
import os, socket, subprocess, ctypes, pathlib, signal

def work(arguments, begin, end):
    begin()
    try:
        exec(arguments["code"])
        said = "done"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    end()
    return said
"""


@pytest.fixture(autouse=True)
def module(confined: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "hostile.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(folder))


def call(code: str, tmp_path: Path, *reads: Path, seconds: float = 60) -> str:
    folder = tmp_path / "inside"
    folder.mkdir(exist_ok=True)
    limits = ConfinedLimits(seconds=seconds, file_bytes=2**20)
    said: str = call_confined("hostile", {"code": code}, folder, limits, *reads)
    return said


def test_what_computes_only_is_answered(tmp_path: Path) -> None:
    assert call("assert sum(range(10)) == 45", tmp_path) == "done"
    assert call(f"pathlib.Path({str(tmp_path / 'inside/a')!r}).write_text('x')", tmp_path) == "done"
    assert (tmp_path / "inside" / "a").read_text() == "x"


@pytest.mark.parametrize(
    "code",
    [
        "open({path!r}, 'w')",
        "open({path!r}, 'a')",
        "os.open({path!r}, os.O_RDWR | os.O_CREAT)",
        "os.open(os.path.join({inside!r}, '..', 'theirs'), os.O_WRONLY)",
    ],
)
def test_writing_is_denied_and_told_with_the_path(code: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.write_text("mine")
    code = code.format(path=str(path), inside=str(tmp_path / "inside"))
    with pytest.raises(ConfinedCallError, match=r"tried to write .*theirs, which was denied"):
        call(code, tmp_path)
    assert path.read_text() == "mine"


def test_connecting_is_denied_and_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = server.getsockname()
        with pytest.raises(ConfinedCallError, match="tried to open a network connection"):
            call(f"socket.create_connection({address!r})", tmp_path)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "code",
    [
        "subprocess.run(['/bin/touch', {path!r}])",
        "os.system('touch ' + {path!r})",
        "os.fork() or os.execv('/bin/touch', ['touch', {path!r}]); os.wait()",
    ],
)
def test_programs_are_not_started_and_told(code: str, tmp_path: Path) -> None:
    path = tmp_path / "made"
    with pytest.raises(ConfinedCallError, match=r"tried to start a program \(/bin/(touch|sh)\)"):
        call(code.format(path=str(path)), tmp_path)
    assert not path.exists()


@pytest.mark.parametrize(
    "code",
    [
        "os.unlink({path!r})",
        "os.rename({path!r}, {inside!r} + '/b')",
        "os.link({path!r}, {inside!r} + '/b')",
        "os.symlink({path!r}, {inside!r} + '/b')",
        "os.truncate({path!r}, 0)",
        "os.chmod({path!r}, 0o777)",
        "os.utime({path!r}, (0, 0))",
        "os.mkdir({path!r} + '-folder')",
        "os.mkfifo({path!r} + '-pipe')",
        "os.setsid()",
        "os.kill({parent}, 0)",
        "open({path!r}).read()",
        "os.listdir(os.path.dirname({path!r}))",
        "open('/proc/{parent}/environ').read()",
        "open('/etc/passwd').read()",
        "socket.socketpair()[0].connect('/run/x')",
    ],
)
def test_everything_else_is_denied(code: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.write_text("secret")
    before = path.stat()
    text = code.format(path=str(path), inside=str(tmp_path / "inside"), parent=os.getpid())
    said = call(text, tmp_path)
    assert said.startswith(("PermissionError", "OSError", "FileNotFoundError")), said
    assert "secret" not in said
    assert path.stat() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["code", "inside", "theirs"]


def test_a_file_that_is_named_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("x")
    assert call(f"assert open({str(path)!r}).read() == 'x'", tmp_path, path) == "done"


def test_one_that_never_ends_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "inside" / "pid"
    code = f"child = os.fork(); child and open({str(pids)!r}, 'w').write(str(child))\nwhile 1: pass"
    with pytest.raises(ConfinedCallError, match="took more than 2 s"):
        call(code, tmp_path, seconds=2)
    stat, deadline = Path(f"/proc/{pids.read_text()}/stat"), time.monotonic() + 20
    while stat.exists() and stat.read_text().split()[2] != "Z":  # its parent is no more
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_too_large_ends_it(tmp_path: Path) -> None:
    said = call(f"open({str(tmp_path / 'inside/a')!r}, 'wb').write(bytes(2**21))", tmp_path)
    assert said.startswith("OSError")


def test_where_the_kernel_cannot_confine_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    # Of a processor whose system calls are not known here.
    (folder / "sitecustomize.py").write_text("import platform; platform.machine = lambda: 'other'")
    monkeypatch.syspath_prepend(str(folder))
    assert sys.path[0] == str(folder)
    ran = tmp_path / "inside" / "ran"
    with pytest.raises(ConfinedCallError, match="no filter of system calls for this kind"):
        call(f"open({str(ran)!r}, 'w')", tmp_path)
    assert not ran.exists()
