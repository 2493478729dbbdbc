"""Masks: the declared value, levels by downsample, sparse and padded files."""

import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.annotation import TruthKind, open_truth
from wsi_pipeline.annotation.mask_file import level_factor
from wsi_pipeline.errors import AnnotationError
from wsi_pipeline.geometry import Size

Mask = NDArray[np.uint8]


def blobs(width: int = 700, height: int = 500, value: int = 255) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    mask[60:200, 90:310] = value
    mask[400:460, 600:700] = value
    mask[100:120, 150:200] = 0
    return mask


def write(path: Path, levels: Sequence[Mask], *, tile: int | None = 64, **options: Any) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for index, level in enumerate(levels):
            tiff.write(
                level,
                tile=None if tile is None else (tile, tile),
                photometric="minisblack",
                subfiletype=1 if index else 0,
                metadata=None,
                **{"compression": "deflate", **options},
            )
    return path


def expected(mask: Mask, value: int, x: float, y: float, w: int, h: int, d: float) -> Mask:
    """The window by looking up every centre by itself."""
    out = np.zeros((h, w), bool)
    for j in range(h):
        for i in range(w):
            column, row = int(np.floor(x + (i + 0.5) * d)), int(np.floor(y + (j + 0.5) * d))
            if 0 <= column < mask.shape[1] and 0 <= row < mask.shape[0]:
                out[j, i] = mask[row, column] == value
    return out.astype(np.uint8)


@pytest.mark.parametrize(
    "window",
    [(0, 0, 70, 50, 10), (80.5, 50.25, 40, 40, 1), (-20, -30, 60, 60, 3.3), (640, 440, 30, 30, 4)],
)
@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 17}, {"compression": None}])
def test_windows_are_the_px_under_their_centres(
    tmp_path: Path, window: tuple[float, float, int, int, float], options: dict[str, Any]
) -> None:
    mask = blobs()
    truth = open_truth(write(tmp_path / "m.tif", [mask], **options), "mask-255")
    found = truth.window(*window)
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, expected(mask, 255, *window))


@pytest.mark.parametrize(("kind", "value"), [("mask-255", 255), ("mask-2", 2), ("mask-1", 1)])
def test_the_declared_value_is_tumour(tmp_path: Path, kind: TruthKind, value: int) -> None:
    truth = open_truth(write(tmp_path / "m.tif", [blobs(value=value)]), kind)
    assert truth.kind == kind
    assert truth.bounds == (90, 60, 700, 460)


def test_other_tissue_of_camelyons_release_is_not_tumour(tmp_path: Path) -> None:
    mask = np.ones((500, 700), np.uint8)
    mask[10:20, 30:40] = 2
    truth = open_truth(write(tmp_path / "m.tif", [mask]), "mask-2")
    assert truth.bounds == (30.0, 10.0, 40.0, 20.0)
    assert truth.window(0, 0, 700, 500, 1).sum() == 100


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        ([255], "mask-1", "255"),
        ([255], "mask-2", "255"),
        ([1, 2], "mask-1", "2"),
        ([1], "mask-255", "1"),
        ([7, 255], "mask-255", "7"),
        ([3, 9, 1], "mask-1", "3, 9"),
    ],
)
def test_another_value_is_an_error_that_names_it(
    tmp_path: Path, values: list[int], kind: TruthKind, said: str
) -> None:
    mask = np.zeros((200, 300), np.uint8)
    for index, value in enumerate(values):
        mask[40, 10 + index] = value
    path = write(tmp_path / "m.tif", [mask])
    truth = open_truth(path, kind)
    for look in (lambda: truth.bounds, lambda: truth.window(0, 0, 300, 200, 1)):
        with pytest.raises(AnnotationError, match=rf"m\.tif: holds px of the value {said}, but"):
            look()


def test_a_constant_block_of_another_value_is_seen_too(tmp_path: Path) -> None:
    truth = open_truth(write(tmp_path / "m.tif", [np.full((200, 300), 9, np.uint8)]), "mask-1")
    with pytest.raises(AnnotationError, match="value 9"):
        _ = truth.bounds


def test_coarse_windows_come_from_the_level_that_fits(tmp_path: Path) -> None:
    """Each level says something else here, so that it shows which one was read."""
    levels = [np.zeros((512 >> n, 1024 >> n), np.uint8) for n in range(4)]
    for n, level in enumerate(levels):
        level[:, n] = 255
    truth = open_truth(write(tmp_path / "m.tif", levels), "mask-255", Size(1024, 512))
    for n in range(4):
        found = truth.window(0, 0, 8, 8, 2**n)
        assert np.flatnonzero(found.any(axis=0)).tolist() == [n]
    # Between levels the finer one is read, never one that has lost detail.
    assert truth.window(1, 0, 8, 8, 3)[:, 0].all()
    assert truth.window(0, 0, 8, 8, 0.5)[:, :2].all()


def test_padded_levels_are_laid_by_their_downsample(tmp_path: Path) -> None:
    """As in CAMELYON: every level is filled up to whole tiles, so shapes have other ratios."""
    full = np.zeros((1536, 2048), np.uint8)
    full[1000:1400, 1500:1900] = 255
    levels = [full]
    for factor in (2, 4, 8):
        part = full[::factor, ::factor]
        pad = ((0, -part.shape[0] % 512), (0, -part.shape[1] % 512))
        levels.append(np.pad(part, pad))
    assert levels[3].shape == (512, 512)
    truth = open_truth(write(tmp_path / "m.tif", levels, tile=512), "mask-255", Size(2048, 1536))
    for factor in (1, 2, 4, 8):
        found = truth.window(0, 0, 2048 // factor, 1536 // factor, factor)
        rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
        assert (rows[0], rows[-1] + 1) == (1000 // factor, 1400 // factor)
        assert abs(columns[0] - 1500 / factor) <= 1
        assert abs(columns[-1] + 1 - 1900 / factor) <= 1


def test_sparse_tiles_are_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", [blobs()], tile=64)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = tiff.pages.first.tags["TileByteCounts"]
        offsets = tiff.pages.first.tags["TileOffsets"]
        changed = list(counts.value)
        changed[0 : len(changed) // 2] = [0] * (len(changed) // 2)
        counts.overwrite(changed)
        offsets.overwrite([o if c else 0 for o, c in zip(offsets.value, changed, strict=True)])
    truth = open_truth(path, "mask-255")
    assert not truth.window(0, 0, 700, 200, 1).any()
    assert truth.bounds == (600, 400, 700, 460)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_other_whole_numbers_are_read(tmp_path: Path, photometric: str) -> None:
    path = tmp_path / "m.tif"
    mask = blobs(value=1).astype(np.uint16)
    tifffile.imwrite(path, mask, tile=(64, 64), photometric=photometric)
    assert open_truth(path, "mask-1").bounds == (90, 60, 700, 460)


def test_levels_may_lie_in_sub_ifds(tmp_path: Path) -> None:
    path, mask = tmp_path / "m.tif", blobs()
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(mask, tile=(64, 64), subifds=1)
        tiff.write(mask[::2, ::2], tile=(64, 64), subfiletype=1)
    truth = open_truth(path, "mask-255", Size(700, 500))
    assert truth.window(0, 0, 350, 250, 2).sum() == (mask[::2, ::2] == 255).sum()


def test_a_coarse_mask_is_laid_on_its_slide(tmp_path: Path) -> None:
    mask = blobs(62, 54)
    mask[10:20, 10:30] = 255
    truth = open_truth(write(tmp_path / "m.tif", [mask], tile=16), "mask-255", Size(1987, 1740))
    assert truth.bounds == (10 * 32, 10 * 32, 30 * 32, 20 * 32)


def test_a_mask_of_another_slide_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", [blobs()])
    for size in (Size(700, 400), Size(1400, 1400), Size(350, 250), Size(9000, 7000)):
        with pytest.raises(AnnotationError, match=r"700 × 500 px, which is no level of a slide of"):
            open_truth(path, "mask-255", size)
    for size in (Size(700, 500), Size(701, 501)):
        open_truth(path, "mask-255", size)


@pytest.mark.parametrize(
    ("full", "part", "factor"),
    [
        ((62000, 54000), (31000, 27000), 2),
        ((62000, 54000), (1937, 1687), 32),
        ((62000, 54000), (1938, 1688), 32),
        ((3000, 1500), (1000, 500), 3),
        # Padded to 512: neither ratio of lengths is 32 (31.8 and 30.9).
        ((97792, 221184), (3072, 7168), 32),
        ((97792, 221184), (1536, 3584), 64),
        ((1000, 1000), (500, 300), None),
        ((1000, 1000), (1024, 1024), 1),
    ],
)
def test_the_factor_that_was_meant(
    full: tuple[int, int], part: tuple[int, int], factor: float | None
) -> None:
    assert level_factor(Size(*full), Size(*part)) == factor


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((64, 64, 3), np.uint8), "3 samples"),
        (np.zeros((64, 64), np.float32), "float32"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path: Path, array: NDArray[Any], said: str) -> None:
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, array)
    with pytest.raises(AnnotationError, match=f"is no mask: its px .*{said}"):
        open_truth(path, "mask-255")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    with pytest.raises(AnnotationError, match=r"m\.tif: cannot be read"):
        open_truth(path, "mask-255")
    path.write_bytes(b"no TIFF")
    with pytest.raises(AnnotationError, match=r"m\.tif: is no TIFF"):
        open_truth(path, "mask-255")


def test_a_truncated_mask_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 2, (400, 400)).astype(np.uint8)
    path = write(tmp_path / "m.tif", [noise], compression=None)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    truth = open_truth(path, "mask-1")
    with pytest.raises(AnnotationError, match="truncated"):
        _ = truth.bounds


def test_a_damaged_block_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", [blobs()])
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        index = max(range(len(page.databytecounts)), key=page.databytecounts.__getitem__)
        offset = page.dataoffsets[index]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 8)
    with pytest.raises(AnnotationError, match="cannot be decoded"):
        _ = open_truth(path, "mask-255").bounds


def test_threads_and_processes_may_share_it(tmp_path: Path) -> None:
    mask = blobs()
    truth = open_truth(write(tmp_path / "m.tif", [mask]), "mask-255", Size(700, 500))
    again = pickle.loads(pickle.dumps(truth))
    found: list[bool] = []

    def look() -> None:
        found.extend(np.array_equal(again.window(0, 0, 700, 500, 1), mask == 255) for _ in range(5))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20
