"""Slides of several files become one ZIP, the same one every time."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from wsi_pipeline.client.upload_file import upload_file
from wsi_pipeline.errors import UsageError


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def mrxs(tmp_path: Path) -> Path:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "Slidedat.ini").write_text("[GENERAL]")
    (tmp_path / "a" / "deep" / "Data0000.dat").write_bytes(b"\1" * 3000)
    (tmp_path / "a.mrxs").write_bytes(b"index")
    return tmp_path / "a.mrxs"


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    folder = tmp_path / "series"
    folder.mkdir()
    for name in ("2.dcm", "1.dcm"):
        (folder / name).write_bytes(name.encode())
    (folder / ".DS_Store").write_bytes(b"no part of the slide")
    return folder


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    slide = tmp_path / "a.svs"
    slide.write_bytes(b"pixels")
    with upload_file(slide) as sent:
        assert sent.file == slide
        assert sent.name == "a.svs"
    with upload_file(slide, "other.svs") as sent:
        assert sent.name == "other.svs"


def test_mrxs_is_packed_with_its_folder(mrxs: Path) -> None:
    with upload_file(mrxs) as sent:
        assert sent.name == "a.mrxs.zip"
        with zipfile.ZipFile(sent.file) as archive:
            assert archive.namelist() == ["a.mrxs", "a/Slidedat.ini", "a/deep/Data0000.dat"]
            assert archive.read("a/deep/Data0000.dat") == b"\1" * 3000
            assert archive.testzip() is None
        packed = sent.file
    assert not packed.exists(), "what was packed is removed afterwards"


def test_a_folder_is_packed_without_hidden_files(dicom: Path) -> None:
    with upload_file(dicom) as sent:
        assert sent.name == "series.zip"
        with zipfile.ZipFile(sent.file) as archive:
            assert archive.namelist() == ["series/1.dcm", "series/2.dcm"]


def test_the_same_files_make_the_same_zip(mrxs: Path) -> None:
    with upload_file(mrxs) as first, upload_file(mrxs) as second:
        assert first.state == second.state
        assert sha256(first.file) == sha256(second.file)
        assert first.file != second.file


def test_a_changed_file_changes_the_state(mrxs: Path) -> None:
    with upload_file(mrxs) as before:
        pass
    os.utime(mrxs.parent / "a" / "Slidedat.ini", (1, 1))
    with upload_file(mrxs) as after:
        pass
    assert after.state != before.state


def test_what_is_missing_is_named(tmp_path: Path, mrxs: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.mrxs").write_bytes(b"index")
    for path, message in (
        (tmp_path / "absent.svs", "there is no slide"),
        (tmp_path / "empty", "without files"),
        (tmp_path / "b.mrxs", "needs its folder b/"),
    ):
        with pytest.raises(UsageError, match=message), upload_file(path):
            pytest.fail("nothing to send")
