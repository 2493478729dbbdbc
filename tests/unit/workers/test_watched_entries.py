"""Which files of a watched folder are slides, and when they count as changed."""

import os
from pathlib import Path

import numpy as np
import pytest

from workers.watched_entries import entries, entry_of, look
from wsi_pipeline.testing import write_pyramid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    return tmp_path / "in"


def put(path: Path, content: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_slides_are_found_and_the_rest_is_not(folder: Path) -> None:
    put(folder / "a.svs")
    put(folder / "deep" / "b.ndpi")
    for name in (
        "a_mask.tiff",
        ".hidden.svs",
        ".hidden/c.svs",
        "c.svs.part",
        "d.svs.tmp",
        "~lock",
        "notes.txt",
        "a.zarr/0/c.tiff",
        "a.error.json",
        "Thumbs.db",
    ):
        put(folder / name)
    assert set(entries(folder)) == {str(folder / "a.svs"), str(folder / "deep" / "b.ndpi")}


def test_results_go_into_a_tree_of_the_same_shape(folder: Path, tmp_path: Path) -> None:
    slide = put(folder / "deep" / "b.ndpi")
    entry = entries(folder)[str(slide)]
    assert entry.result(tmp_path / "out") == tmp_path / "out" / "deep" / "b.zarr"
    assert entry.failure(folder) == folder / "deep" / "b.error.json"
    assert entry_of(slide, folder).result(folder) == folder / "deep" / "b.zarr"


def test_slides_of_one_name_get_results_of_two(folder: Path) -> None:
    put(folder / "a.svs")
    put(folder / "a.tiff")
    names = {entry.result(folder).name for entry in entries(folder).values()}
    assert names == {"a.svs.zarr", "a.tiff.zarr"}


def test_links_that_lead_out_are_passed_over(folder: Path, tmp_path: Path) -> None:
    secret = put(tmp_path / "elsewhere" / "secret.svs")
    (folder / "file.svs").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    (folder / "broken.svs").symlink_to(tmp_path / "nowhere.svs")
    inside = put(folder / "a.svs")
    (folder / "deep" / "again.svs").symlink_to(inside)
    found = entries(folder)
    assert str(inside) in found or str(folder / "deep" / "again.svs") in found
    assert len(found) == 1, "one file is one slide, whatever it is called"


def test_devices_and_folders_called_like_slides_are_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "pipe.svs")
    (folder / "folder.svs").mkdir()
    (folder / "folder.tiff").mkdir()
    assert entries(folder) == {}


def test_a_folder_nobody_may_read_does_not_hide_the_others(folder: Path) -> None:
    put(folder / "a.svs")
    closed = folder / "lost+found"
    closed.mkdir()
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            # Root reads everything; what cannot be listed at all stands for it.
            closed.rmdir()
            closed.symlink_to(folder / "lost+found")
        assert set(entries(folder)) == {str(folder / "a.svs")}
    finally:
        if not closed.is_symlink():
            closed.chmod(0o700)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        entries(tmp_path / "a drive that is away")


def test_names_that_are_no_text_are_known(folder: Path) -> None:
    odd = os.fsencode(folder) + b"/\xff\xfe.svs"
    with open(odd, "wb") as file:  # noqa: PTH123 - a name in bytes
        file.write(b"pixels")
    put(folder / "a.svs")
    assert [entry.is_text for _, entry in sorted(entries(folder).items())] == [True, False]


def test_looks_change_with_size_and_time(folder: Path) -> None:
    slide = put(folder / "a.svs")
    os.utime(slide, (1000, 1000))
    first = look(slide)
    assert first is not None
    assert look(slide) == first
    os.utime(slide, (1000, 1001.25))
    assert look(slide) != first
    os.utime(slide, (1000, 1000))
    assert look(slide) == first
    slide.write_bytes(b"more pixels")
    os.utime(slide, (1000, 1000))
    assert look(slide) != first


def test_an_empty_file_has_no_look_yet(folder: Path) -> None:
    assert look(put(folder / "a.svs", b"")) is None
    assert look(folder / "absent.svs") is None


def test_a_growing_companion_changes_the_look(folder: Path) -> None:
    index = put(folder / "a.mrxs")
    put(folder / "a" / "Data0000.dat")
    before = look(index)
    put(folder / "a" / "Data0001.dat")
    assert look(index) != before
    assert set(entries(folder)) == {str(index)}


def test_real_slides_too(folder: Path) -> None:
    write_pyramid(folder / "a.tiff", np.full((64, 64, 3), 200, np.uint8), downsamples=(1,))
    (entry,) = entries(folder).values()
    assert entry.look is not None
    assert entry.look.size_bytes == (folder / "a.tiff").stat().st_size
