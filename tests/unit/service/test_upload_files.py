"""The folder where uploads grow."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wsi_pipeline.service.upload_files import LockedError, UploadFiles


@pytest.fixture
def spool(tmp_path: Path) -> UploadFiles:
    return UploadFiles(tmp_path / "spool")


def test_bytes_go_where_the_last_ones_ended(spool: UploadFiles) -> None:
    with spool.open("a") as file:
        file.write(b"first ")
        file.write(b"second")
        file.sync()
    with spool.open("a") as file:
        file.cut(6)
        assert file.position == file.size == 6
        file.write(b"again")
        file.sync()
        assert file.position == 11
    assert spool.path("a").read_bytes() == b"first again"


def test_old_files_are_removed_and_young_ones_stay(spool: UploadFiles) -> None:
    for name in ("old", "young"):
        spool.path(name).write_bytes(b"x")
    os.utime(spool.path("old"), (1, 1))
    assert spool.sweep_old(60) == ["old"]
    assert [path.name for path in spool.folder.iterdir()] == ["young"]


def test_only_the_service_may_look(spool: UploadFiles) -> None:
    with spool.open("a"):
        pass
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.path("a").stat().st_mode) == 0o600


def test_one_writer_at_a_time(spool: UploadFiles) -> None:
    with spool.open("a"):
        with pytest.raises(LockedError):
            spool.open("a")
        with spool.open("b"):
            pass
    with spool.open("a"):
        pass


def test_closing_lets_others_write_though_a_child_has_the_file_open(spool: UploadFiles) -> None:
    """As every child that is being started has: what is shared with it is the open file."""
    file = spool.open("a")
    of_child = os.dup(file._fd)
    file.close()
    with spool.open("a"):
        pass
    os.close(of_child)


def test_another_process_is_kept_out_until_this_one_is_through(spool: UploadFiles) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom wsi_pipeline.service.upload_files import *\n"
        "try: UploadFiles(Path(sys.argv[1])).open('a')\nexcept LockedError: print('locked')\n"
        "else: print('mine')"
    )
    command = [sys.executable, "-c", code, str(spool.folder)]

    def other() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with spool.open("a"):
        assert other() == "locked"
    assert other() == "mine"


def test_a_link_is_not_followed(spool: UploadFiles, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    spool.path("a").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        spool.open("a")
    assert victim.read_bytes() == b"precious"


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def test_descriptors_are_neither_inherited_nor_left_open(spool: UploadFiles) -> None:
    before = descriptors()
    with spool.open("a"):
        (new,) = descriptors() - before
        assert not os.get_inheritable(int(new))
        with pytest.raises(LockedError):
            spool.open("a")
    assert descriptors() == before


def test_what_nobody_needs_is_swept(spool: UploadFiles) -> None:
    for name in ("open", "ended", "slide", "gone.lock"):
        spool.path(name).write_bytes(b"x")
    for name in ("slide.check", "gone.check"):
        (spool.path(name) / "deeper").mkdir(parents=True)

    def needed() -> set[str]:
        # Began after the folder was listed.
        spool.path("new").write_bytes(b"x")
        return {"open", "slide"}

    assert sorted(spool.sweep(needed)) == ["ended", "gone.check", "gone.lock"]
    left = sorted(path.name for path in spool.folder.iterdir())
    assert left == ["new", "open", "slide", "slide.check"]


def test_an_empty_folder_asks_nobody(spool: UploadFiles) -> None:
    def needed() -> set[str]:
        raise AssertionError("asked")

    assert spool.sweep(needed) == []


def test_removing_is_safe_to_repeat(spool: UploadFiles) -> None:
    spool.path("a").write_bytes(b"x")
    for _ in range(2):
        spool.remove("a")
    assert not spool.path("a").exists()
    assert spool.free_bytes > 0
