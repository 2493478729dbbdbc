"""Whatever a file does to the process that looks at it, the caller gets facts or an error."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.probe import ProbeLimits, look, probe
from wsi_pipeline.slide.sandbox import PROBING
from wsi_pipeline.testing import write_pyramid

IMAGE = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    write_pyramid(tmp_path / "a.tiff", IMAGE)
    return tmp_path / "a.tiff"


def test_a_sound_slide_is_described(slide: Path) -> None:
    found = probe(slide)
    assert found.info == open_slide(slide).info
    assert found.sampled == 3 * 9
    assert (found.unreadable, found.reason) == (0, "")
    assert found.proven == ()  # OpenSlide reads it


def test_levels_whose_tiles_can_be_decoded_directly_are_told(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.tiff", IMAGE, compression="jpeg")
    assert probe(tmp_path / "a.tiff").proven == (0, 1, 2)


def test_a_look_that_does_not_end_is_an_error_of_the_slide(slide: Path) -> None:
    with pytest.raises(DamagedSlideError, match=r"reading it took more than 0\.001 s.*malicious"):
        probe(slide, ProbeLimits(seconds=0.001))


def test_memory_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "large-tiles.tiff"
    write_pyramid(path, np.zeros((2048, 2048, 3), np.uint8), tile=2048, downsamples=(1,))
    assert probe(path).unreadable == 0
    with pytest.raises(DamagedSlideError):
        probe(path, ProbeLimits(memory=50 * 2**20))


def test_errors_cross_the_process_border(slide: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tiff"
    cut.write_bytes(slide.read_bytes()[:-1000])
    text = tmp_path / "text.svs"
    text.write_text("no slide")
    wrong: list[tuple[Path, type[SlideError], str]] = [
        (cut, DamagedSlideError, "truncated"),
        (text, UnsupportedSlideError, "not a slide"),
        (tmp_path / "absent.svs", UnsupportedSlideError, "no such file"),
        (tmp_path, UnsupportedSlideError, "holds no DICOM"),
    ]
    for path, kind, cause in wrong:
        with pytest.raises(kind, match=cause) as caught:
            probe(path)
        assert caught.value.path == path


def test_unreadable_places_are_counted(slide: Path) -> None:
    whole = bytearray(slide.read_bytes())

    with tifffile.TiffFile(slide) as tiff:
        page = tiff.pages.first
        offset, count = page.dataoffsets[0], page.databytecounts[0]
    whole[offset : offset + count] = bytes(count)
    slide.write_bytes(whole)
    found = probe(slide)
    assert 0 < found.unreadable < found.sampled
    assert "cannot decode" in found.reason


@pytest.mark.parametrize(
    ("name", "kind", "cause"),
    [
        ("unopenable.tiff", UnsupportedSlideError, "compressed with method 52479"),
        ("unreadable.svs", DamagedSlideError, "no pixel of it can be decoded: cannot decode"),
        ("radiology.dcm", UnsupportedSlideError, "its DICOM header lacks ImageType"),
        ("plain-multichannel.tif", UnsupportedSlideError, "16-bit grey, one channel"),
    ],
)
def test_real_files_nobody_can_read_are_refused_by_their_property(
    data: Path, name: str, kind: type[SlideError], cause: str
) -> None:
    with pytest.raises(kind, match=cause):
        probe(data / "slides" / "unreadable" / name)


@pytest.mark.parametrize(
    ("name", "levels"), [("boxes-dicom", 1), ("boxes.tiff", 4), ("fluorescence-dapi.ndpi", 7)]
)
def test_real_slides_are_described(data: Path, name: str, levels: int) -> None:
    found = probe(data / "slides" / name)
    assert len(found.info.levels) == levels
    assert found.unreadable == 0


def test_the_module_that_is_imported_ahead_is_the_one_that_looks() -> None:
    assert look.__module__ == PROBING
