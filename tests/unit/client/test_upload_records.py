"""State files of uploads: what a new process goes on with, and what it must not."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from wsi_pipeline.client.upload_records import UploadKey, UploadRecords

KEY = UploadKey("http://127.0.0.1:8000", "/slides/a.svs", 1000, "state")


def test_what_is_put_is_found_by_a_new_process(tmp_path: Path) -> None:
    UploadRecords(tmp_path / "state").put(KEY, "/v1/uploads/1")
    assert UploadRecords(tmp_path / "state").get(KEY) == "/v1/uploads/1"


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, service="http://127.0.0.1:9000"),
        replace(KEY, path="/slides/b.svs"),
        replace(KEY, size_bytes=1001),
        replace(KEY, state="touched"),
    ],
)
def test_another_file_or_service_is_another_upload(tmp_path: Path, other: UploadKey) -> None:
    memory = UploadRecords(tmp_path)
    memory.put(KEY, "/v1/uploads/1")
    assert memory.get(other) is None


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    memory = UploadRecords(tmp_path)
    memory.put(KEY, "/v1/uploads/1")
    memory.forget(KEY)
    memory.forget(KEY)
    assert memory.get(KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_files_are_for_their_owner_only_and_hold_no_key(tmp_path: Path) -> None:
    UploadRecords(tmp_path / "state").put(KEY, "/v1/uploads/1")
    (file,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {
        "upload": "/v1/uploads/1",
        "path": "/slides/a.svs",
        "size_bytes": 1000,
    }


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"upload": 3}'])
def test_an_unreadable_file_begins_the_upload_again(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY.name).write_text(content)
    assert UploadRecords(tmp_path).get(KEY) is None


def test_old_files_are_removed(tmp_path: Path) -> None:
    memory = UploadRecords(tmp_path)
    memory.put(KEY, "/v1/uploads/1")
    os.utime(tmp_path / KEY.name, (0, 0))
    memory.put(replace(KEY, state="other"), "/v1/uploads/2")
    assert memory.get(KEY) is None
