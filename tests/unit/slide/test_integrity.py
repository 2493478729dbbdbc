"""A file that lost its end is found out, wherever the loss begins."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.slide.integrity import check_integrity
from wsi_pipeline.testing import write_pyramid, write_vips_pyramid

IMAGE = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)

WRITERS: dict[str, Callable[[Path], object]] = {
    "deflate": lambda path: write_pyramid(path, IMAGE),
    "jpeg": lambda path: write_pyramid(path, IMAGE, compression="jpeg"),
    "subifds": lambda path: write_pyramid(path, IMAGE, subifds=True),
    "ome": lambda path: write_pyramid(path, IMAGE, ome=True),
    "vips": lambda path: write_vips_pyramid(path, IMAGE),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("integrity")
    for name, write in WRITERS.items():
        write(folder / f"{name}.tiff")
    return {name: folder / f"{name}.tiff" for name in WRITERS}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_whole_file_passes(files: dict[str, Path], kind: str) -> None:
    check_integrity((files[kind],))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_whole_file_passes_under_another_format_s_name(
    files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """What is called NDPI is read with other offsets by those who go by names."""
    renamed = tmp_path / "renamed.ndpi"
    shutil.copy(files[kind], renamed)
    check_integrity((renamed,))


def test_real_ndpi_passes_under_any_name(data: Path, tmp_path: Path) -> None:
    for name in ("a.ndpi", "a.tiff"):
        shutil.copyfile(data / "slides" / "fluorescence-dapi.ndpi", tmp_path / name)
        check_integrity((tmp_path / name,))
        with (tmp_path / name).open("r+b") as file:
            file.truncate((tmp_path / name).stat().st_size - 20_000)
        with pytest.raises(DamagedSlideError, match=r"truncated|damaged"):
            check_integrity((tmp_path / name,))


@pytest.mark.parametrize("kind", WRITERS)
@given(share=st.floats(0, 1))
def test_a_truncated_tiff_is_found_out(files: dict[str, Path], kind: str, share: float) -> None:
    whole = files[kind].read_bytes()
    # The first 8 bytes are the header, the last one may be padding to a whole word.
    kept = 8 + int(share * (len(whole) - 2 - 8))
    cut = files[kind].with_suffix(".cut")
    cut.write_bytes(whole[:kept])
    with pytest.raises(DamagedSlideError, match=r"copy or upload it again|directory is damaged"):
        check_integrity((cut,))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_tiff_that_lost_its_last_tile_is_found_out(files: dict[str, Path], kind: str) -> None:
    whole = files[kind].read_bytes()
    cut = files[kind].with_suffix(".cut")
    for lost in (2, 3, 10, 100):
        cut.write_bytes(whole[:-lost])
        with pytest.raises(DamagedSlideError):
            check_integrity((cut,))


def test_a_whole_file_is_not_blamed_for_another_that_is_checked_beside_it(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """Tifffile tells of lost directories in one log for all threads."""
    whole = files["deflate"]
    half = tmp_path / "half.tiff"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    def blamed(path: Path) -> bool:
        try:
            check_integrity((path,))
        except DamagedSlideError:
            return True
        return False

    paths = [whole, half] * 100
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(blamed, paths)) == [False, True] * 100


def test_an_empty_file_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty.svs"
    empty.touch()
    with pytest.raises(DamagedSlideError, match=r"empty\.svs: the file is empty"):
        check_integrity((files["jpeg"], empty))


def test_other_formats_are_left_to_openslide(tmp_path: Path) -> None:
    other = tmp_path / "Data0000.dat"
    other.write_bytes(b"no TIFF, no DICOM")
    check_integrity((other,))


@pytest.mark.parametrize("name", ["cmu-1-small-region.svs", "fluorescence-dapi.ndpi", "small.svs"])
def test_real_slides_pass_and_their_halves_do_not(data: Path, tmp_path: Path, name: str) -> None:
    path = data / "slides" / name
    check_integrity((path,))
    half = tmp_path / name
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedSlideError):
        check_integrity((half,))


def test_a_real_dicom_slide_passes_and_its_stump_does_not(data: Path, tmp_path: Path) -> None:
    for path in sorted((data / "slides" / "boxes-dicom").iterdir()):
        check_integrity((path,))
        shutil.copy(path, tmp_path)
        stump = tmp_path / path.name
        whole = path.read_bytes()
        for kept in (len(whole) - 9, len(whole) * 3 // 4, len(whole) // 2, 200):
            stump.write_bytes(whole[:kept])
            with pytest.raises(DamagedSlideError):
                check_integrity((stump,))
