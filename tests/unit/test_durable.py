"""Old content or new content under a name, whatever fails; and nothing of ours left over."""

import errno
import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline import durable

#: Calls of the system that writing a file makes, each of which may fail.
_CALLS = ("open", "fsync", "link", "replace", "rename")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def interrupted(file: Path) -> None:
    file.write_bytes(b"ne")
    raise KeyboardInterrupt


class Failing:
    """Lets some calls of the system pass and fails all later ones, as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, passing: int, code: int) -> None:
        self.passing, self.code, self.made = passing, code, 0
        for call in _CALLS:
            monkeypatch.setattr(os, call, self._wrapped(getattr(os, call)))

    def _wrapped(self, call: Callable[..., object]) -> Callable[..., object]:
        def made(*arguments: object, **options: object) -> object:
            self.made += 1
            if self.made > self.passing:
                raise OSError(self.code, os.strerror(self.code))
            return call(*arguments, **options)

        return made


@given(old=st.none() | st.binary(), new=st.binary(), twice=st.booleans())
def test_a_file_holds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    old: bytes | None,
    new: bytes,
    twice: bool,
) -> None:
    path = tmp_path_factory.mktemp("a") / "ä b.bin"
    if old is not None:
        path.write_bytes(old)
    for _ in range(1 + twice):
        durable.write_bytes(path, new)
    assert path.read_bytes() == new
    assert names(path.parent) == {path.name}


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    durable.write_text(tmp_path / "a", "Größe\r\n1\n")
    assert (tmp_path / "a").read_bytes() == "Größe\r\n1\n".encode()


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("passing", range(5))
def test_whatever_call_fails_the_old_content_stays(
    tmp_path: Path,
    passing: int,
    replace: bool,
) -> None:
    path = tmp_path / "a"
    if replace:
        path.write_bytes(b"old")
    with pytest.MonkeyPatch.context() as patch:
        failing = Failing(patch, passing, errno.ENOSPC)
        try:
            durable.write_bytes(path, b"new", replace=replace)
            failed = False
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - some of the cases succeed
            failed = True
    assert failed == (failing.made > passing)
    content = path.read_bytes() if path.exists() else None
    assert content in ((b"old" if replace else None), b"new")
    assert names(tmp_path) <= {"a"}
    if passing == 0:
        assert failed, "the first call is one of ours"


def test_an_interrupted_writer_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), durable.replacing(path) as draft:
        interrupted(draft)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


def test_a_killed_writer_leaves_the_old_content_and_a_draft_that_is_removed_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a[x].csv"
    path.write_bytes(b"old")
    script = """
        import os, sys
        from pathlib import Path
        from wsi_pipeline import durable
        with durable.replacing(Path(sys.argv[1])) as draft:
            draft.write_bytes(b"ne")
            os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=False)
    assert done.returncode == -9
    assert path.read_bytes() == b"old"
    (draft,) = names(tmp_path) - {path.name}
    durable.write_bytes(path, b"new")
    assert draft in names(tmp_path), "it may be somebody's who is at work"
    (tmp_path / ".ax.csv.00000000.new").write_bytes(b"of another name")
    for left in names(tmp_path):
        os.utime(tmp_path / left, (0, time.time() - durable.LEFTOVER_SECONDS - 60))
    durable.write_bytes(path, b"newer")
    assert names(tmp_path) == {path.name, ".ax.csv.00000000.new"}


def test_writers_do_not_share_a_draft(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with durable.replacing(path) as first, durable.replacing(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first", "the one that ended last"
    assert names(tmp_path) == {"a"}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_that_came_meanwhile_is_not_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    links: bool,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a"
    durable.write_bytes(path, b"mine", replace=False)
    assert path.read_bytes() == b"mine"
    with pytest.raises(FileExistsError), durable.replacing(path, replace=False) as draft:
        draft.write_bytes(b"other")
    assert path.read_bytes() == b"mine"
    assert names(tmp_path) == {"a"}


def test_permissions_are_kept_or_as_asked(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    umask = os.umask(0o027)
    try:
        path = tmp_path / "a"
        durable.write_bytes(path, b"1")
        assert mode(path) == 0o640
        path.chmod(0o604)
        durable.write_bytes(path, b"2")
        assert mode(path) == 0o604
        with durable.replacing(path, mode=0o600) as draft:
            assert mode(draft) == 0o600, "nobody may read it before it has its name either"
        assert mode(path) == 0o600
    finally:
        os.umask(umask)


def test_long_names_have_drafts_too(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    durable.write_bytes(path, b"1")
    assert names(tmp_path) == {path.name}


def test_content_and_name_are_flushed_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[str, bool]] = []
    fsync, path = os.fsync, tmp_path / "a"

    def note(descriptor: int) -> None:
        fsync(descriptor)
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        flushed.append((kind, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    durable.write_bytes(path, b"1")
    assert flushed == [("file", False), ("folder", True)]


def fill(folder: Path, text: str) -> None:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text(text)


def test_a_folder_appears_whole_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "package"
    for text in ("one", "two"):
        with durable.replacing_folder(path) as draft:
            fill(draft, text)
        assert (path / "deep" / "file").read_text() == text
        assert names(path.parent) == {"package"}
    with pytest.raises(FileExistsError), durable.replacing_folder(path, replace=False) as draft:
        fill(draft, "three")
    with pytest.raises(KeyboardInterrupt), durable.replacing_folder(path) as draft:
        interrupted(draft / "file")
    assert (path / "deep" / "file").read_text() == "two"
    assert names(path.parent) == {"package"}


@pytest.mark.parametrize("failing_call", [1, 2])
def test_a_folder_stays_whatever_call_fails(tmp_path: Path, failing_call: int) -> None:
    path = tmp_path / "package"
    fill(path, "old")
    draft = tmp_path / "draft"
    fill(draft, "new")
    with pytest.MonkeyPatch.context() as patch:
        rename, made = Path.rename, 0

        def failing(self: Path, target: Path) -> Path:
            nonlocal made
            made += 1
            # The second gives the draft its name; putting the old one back must still work.
            if made == failing_call:
                raise OSError(errno.EIO, "broken")
            return rename(self, target)

        patch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="broken"):
            durable.publish_folder(draft, path, replace=True)
    assert (path / "deep" / "file").read_text() == "old"
    assert names(tmp_path) == {"package", "draft"}


def test_a_folder_takes_no_files_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    fill(tmp_path / "draft", "new")
    with pytest.raises(FileExistsError, match="a"):
        durable.publish_folder(tmp_path / "draft", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "mine"


def test_flushing_fails_for_files_but_not_where_folders_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(_: int) -> None:
        raise OSError(errno.EINVAL, "not offered")

    (tmp_path / "a").write_text("1")
    monkeypatch.setattr(os, "fsync", unable)
    durable.sync(tmp_path)
    with pytest.raises(OSError, match="not offered"):
        durable.sync(tmp_path / "a")
