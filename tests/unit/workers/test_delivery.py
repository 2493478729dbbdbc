"""Results appear beside their slides whole or not at all."""

import json
import os
import threading
from pathlib import Path

import pytest

from workers.delivery import InTheWayError, deliver_failure, deliver_tree


def store(path: Path, text: str = "one", files: int = 3) -> Path:
    (path / "labels" / "tumour").mkdir(parents=True)
    for number in range(files):
        (path / "labels" / "tumour" / f"{number}").write_text(text)
    attributes = {"attributes": {"wsi_pipeline": {"text": text, "files": files}}}
    (path / "zarr.json").write_text(json.dumps(attributes))
    return path


def told(path: Path) -> str:
    """What a store says, checked to be all of one kind."""
    stated = json.loads((path / "zarr.json").read_text())["attributes"]["wsi_pipeline"]
    parts = [file.read_text() for file in (path / "labels" / "tumour").iterdir()]
    assert parts == [stated["text"]] * stated["files"]
    return str(stated["text"])


def identity(path: Path) -> int | None:
    """Which folder has this name now, if any."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def test_a_result_is_copied_and_nothing_else_is_left(tmp_path: Path) -> None:
    source = store(tmp_path / "source")
    deliver_tree(source, tmp_path / "out" / "deep" / "a.zarr")
    assert told(tmp_path / "out" / "deep" / "a.zarr") == "one"
    assert told(source) == "one"
    assert [file.name for file in (tmp_path / "out" / "deep").iterdir()] == ["a.zarr"]


def test_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    deliver_tree(store(tmp_path / "1", "one", files=9), target)
    deliver_tree(store(tmp_path / "2", "two"), target)
    assert told(target) == "two"


@pytest.mark.parametrize("kind", ["file", "folder", "other store"])
def test_what_is_no_result_stays(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "a.zarr"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "zarr.json").write_text("{}" if kind == "folder" else '{"attributes": {}}')
    with pytest.raises(InTheWayError, match=r"a\.zarr"):
        deliver_tree(store(tmp_path / "source"), target)
    assert target.exists()
    assert {file.name for file in tmp_path.iterdir()} == {"a.zarr", "source"}


def test_a_failed_copy_leaves_the_old_result(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    deliver_tree(store(tmp_path / "1", "one"), target)
    broken = store(tmp_path / "2", "two")
    (broken / "labels" / "lost").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError):  # noqa: PT011 - copytree collects what it met
        deliver_tree(broken, target)
    assert told(target) == "one"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1", "2", "a.zarr"]


def test_readers_meanwhile_see_a_whole_result_or_none(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    sources = [store(tmp_path / name, name, files=20) for name in ("one", "two")]
    stop = threading.Event()
    seen: list[str] = []
    faults: list[str] = []

    def read() -> None:
        while not stop.is_set():
            try:
                # By handle: the folder may be replaced between two looks at its name.
                folder = os.open(target, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                seen.append(told(Path(f"/proc/self/fd/{folder}")))
            except (FileNotFoundError, NotADirectoryError):
                continue  # it was replaced, and removed while it was read
            except AssertionError:
                # One that is being removed may be seen in part, by those who still hold it.
                if identity(target) == os.fstat(folder).st_ino:
                    faults.append("part of a result")
            finally:
                os.close(folder)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        deliver_tree(sources[turn % 2], target)
    stop.set()
    reader.join()
    assert faults == []
    assert {"one", "two"} <= set(seen)


def test_leftovers_of_a_killed_delivery_are_removed(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".a.zarr.00001234.new", tmp_path / ".a.zarr.00005678.new"
    for folder in (old, fresh):
        store(folder)
    os.utime(old, (0, 0))
    deliver_tree(store(tmp_path / "source"), tmp_path / "a.zarr")
    assert not old.exists()
    assert fresh.exists(), "another worker may be at it"


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    other = tmp_path / ".axb.zarr.00001234.new"
    store(other)
    os.utime(other, (0, 0))
    deliver_tree(store(tmp_path / "source"), tmp_path / "a[x]b.zarr")
    assert told(tmp_path / "a[x]b.zarr") == "one"
    assert other.exists()


def test_failures_are_told_as_json(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.error.json"
    problem = {"title": "The slide is damaged", "detail": "the file is truncated"}
    deliver_failure(target, "job", {"detail": "old"})
    deliver_failure(target, "job", problem)
    assert json.loads(target.read_text()) == {"job_id": "job", "problem": problem}
    assert [file.name for file in target.parent.iterdir()] == ["a.error.json"]
