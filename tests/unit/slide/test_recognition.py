"""Text, empty, truncated and unsupported files are told apart by content, not by suffix."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.probe import Prober
from wsi_pipeline.slide.recognition import why_no_slide
from wsi_pipeline.testing import write_pyramid

SUFFIXES = ("svs", "tiff", "ndpi", "png", "jpg", "dcm", "bif")


def saved(image: Image.Image, kind: str) -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.txt", "a")
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return data.getvalue()


GREEN = Image.new("RGB", (40, 30), "green")
CONTENTS: dict[str, tuple[bytes, type[SlideError], str]] = {
    "empty": (b"", DamagedSlideError, "the file is empty"),
    "text": (b"patient 17\r\n", UnsupportedSlideError, "is a text file, not a slide"),
    "utf-8": ("für Müller".encode(), UnsupportedSlideError, "is a text file"),
    "latin-1": ("Zur Färbung: H&E".encode("latin-1"), UnsupportedSlideError, "is a text file"),
    "utf-16": ("text".encode("utf-16"), UnsupportedSlideError, "is a text file"),
    "page": (b"\n<!DOCTYPE html><html>login", UnsupportedSlideError, "is a web page.*login"),
    "json": (b'{"error": 403}', UnsupportedSlideError, "is a JSON text"),
    "xml": (b"<?xml version='1.0'?><Error/>", UnsupportedSlideError, "is an XML text"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", UnsupportedSlideError, "git lfs pull"),
    "zeros": (bytes(9000), DamagedSlideError, "zero bytes: it was not copied whole"),
    "zip": (zipped(), UnsupportedSlideError, "is a ZIP archive.*unpack"),
    "gzip": (gzip.compress(b"x" * 99), UnsupportedSlideError, "gzip.*`gunzip`"),
    "tar": (tarred(), UnsupportedSlideError, "is a tar archive"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", UnsupportedSlideError, "is a PDF document"),
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(60), UnsupportedSlideError, "is a program"),
    "video": (b"\0\0\0\x18ftypmp42" + bytes(40), UnsupportedSlideError, "is a video"),
    "webp": (saved(GREEN, "webp"), UnsupportedSlideError, "is a WebP picture.*`vips copy"),
    "gif": (saved(GREEN, "gif"), UnsupportedSlideError, "is a GIF picture.*`vips copy"),
    "bmp": (saved(GREEN, "bmp"), UnsupportedSlideError, "is a BMP picture"),
    "jp2": (saved(GREEN, "jpeg2000"), UnsupportedSlideError, "JPEG 2000 picture.*`vips tiffsave"),
    "noise": (b"\x8e\x81\xc1\xd8" * 99, UnsupportedSlideError, "bytes 8e 81 c1 d8"),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_is_named_by_its_content(tmp_path: Path, kind: str) -> None:
    content, error, cause = CONTENTS[kind]
    for suffix in SUFFIXES:
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(content)
        with pytest.raises(error, match=cause):
            open_slide(path)


def test_the_child_tells_truncated_files_apart(tmp_path: Path) -> None:
    """Under suffixes of other kinds: the content counts."""
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    write_pyramid(tmp_path / "a.tiff", image)
    whole = (
        (tmp_path / "a.tiff").read_bytes(),
        saved(Image.fromarray(image), "png"),
        saved(Image.fromarray(image), "jpeg"),
    )
    for suffix, data in zip(("png", "svs", "ndpi"), whole, strict=True):
        path = tmp_path / f"half.{suffix}"
        path.write_bytes(data[: len(data) // 2])
        with Prober() as prober, pytest.raises(DamagedSlideError, match="the file is truncated"):
            prober(path)


def test_dicom_that_is_no_slide_is_named_by_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = "CT"
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(UnsupportedSlideError, match=r"CT Image Storage, modality CT.*SM"):
        open_slide(path)
    path.write_bytes(path.read_bytes()[:140])
    with pytest.raises(DamagedSlideError, match="DICOM header is damaged"):
        open_slide(path)


@given(st.binary(min_size=1, max_size=600))
def test_every_file_has_a_name(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.svs"
    path.write_bytes(content)
    error = why_no_slide(path)
    assert error.path == path
    assert "\n" not in error.cause
