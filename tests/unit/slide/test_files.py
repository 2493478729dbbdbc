"""Which files make a slide, and what identifies it."""

import hashlib
import shutil
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    VLWholeSlideMicroscopyImageStorage,
    generate_uid,
)

from wsi_pipeline.errors import StoppedError, UnsupportedSlideError
from wsi_pipeline.slide.files import dicom_series, is_one_file, slide_files, slide_sha256


def write_dicom(path: Path, series: str) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = series
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    one, other = generate_uid(), generate_uid()
    for name, series in (("b.dcm", one), ("a.dcm", one), ("z.dcm", other), ("c", one)):
        write_dicom(tmp_path / name, series)
    (tmp_path / "notes.txt").write_text("no slide")
    return tmp_path


def test_a_dicom_slide_is_its_series(folder: Path) -> None:
    found = slide_files(folder / "b.dcm")
    assert found[0] == folder / "b.dcm"
    assert [path.name for path in found[1:]] == ["a.dcm", "c"]
    assert slide_files(folder / "z.dcm") == (folder / "z.dcm",)
    assert dicom_series(folder / "a.dcm") == dicom_series(folder / "c")


def test_a_folder_of_dicom_files_is_a_slide(folder: Path) -> None:
    assert [path.name for path in slide_files(folder)] == ["a.dcm", "b.dcm", "c"]


def test_every_file_of_a_series_identifies_it(folder: Path) -> None:
    hashes = {slide_sha256(slide_files(folder / name)) for name in ("a.dcm", "b.dcm", "c")}
    assert len(hashes) == 1
    before = hashes.pop()
    with (folder / "c").open("ab") as file:
        file.write(b"x")
    assert slide_sha256(slide_files(folder)) != before


def test_a_single_file_is_identified_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"II*\0 some bytes")
    expected = hashlib.sha256(b"II*\0 some bytes").hexdigest()
    assert slide_sha256(slide_files(tmp_path / "a.svs")) == expected


def test_hashing_can_be_stopped_between_blocks(tmp_path: Path) -> None:
    path, asked = tmp_path / "a.svs", iter([False, False, True])
    with path.open("wb") as file:
        file.truncate(5 * 2**20)
    with pytest.raises(StoppedError):
        slide_sha256([path], lambda: next(asked))
    assert slide_sha256([path]) == hashlib.sha256(bytes(5 * 2**20)).hexdigest()


def test_which_slides_are_one_file_for_certain(tmp_path: Path) -> None:
    for name, data in (("a.svs", b"II*\0"), ("a.mrxs", b""), ("a.dcm", bytes(128) + b"DICM")):
        (tmp_path / name).write_bytes(data)
    found = {name: is_one_file(tmp_path / name) for name in ("a.svs", "a.mrxs", "a.dcm", "b.svs")}
    assert found == {"a.svs": True, "a.mrxs": False, "a.dcm": False, "b.svs": False}
    assert not is_one_file(tmp_path)


def test_an_mrxs_slide_is_its_index_and_its_folder(tmp_path: Path) -> None:
    index = tmp_path / "a.mrxs"
    index.write_bytes(b"index")
    with pytest.raises(UnsupportedSlideError, match="folder a/ is missing"):
        slide_files(index)
    (tmp_path / "a").mkdir()
    with pytest.raises(UnsupportedSlideError, match="folder a/ is missing"):
        slide_files(index)
    (tmp_path / "a" / "Data0000.dat").write_bytes(b"px")
    (tmp_path / "a" / "Slidedat.ini").write_bytes(b"ini")
    found = slide_files(index)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "a.mrxs",
        "a/Data0000.dat",
        "a/Slidedat.ini",
    ]
    before = slide_sha256(found)
    # The place of the slide is no part of it; its files' names are.
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(index, moved / "a.mrxs")
    shutil.move(tmp_path / "a", moved / "a")
    assert slide_sha256(slide_files(moved / "a.mrxs")) == before


def test_what_is_no_slide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSlideError, match="no such file"):
        slide_files(tmp_path / "absent.svs")
    with pytest.raises(UnsupportedSlideError, match="holds no DICOM files"):
        slide_files(tmp_path)
