"""Masks as files: what OpenSlide reads is what was outlined."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openslide
import pytest
import shapely
import shapely.affinity
import tifffile

from wsi_pipeline.annotation import OutlineTruth, open_truth
from wsi_pipeline.annotation.drawing import canvas, write_mask
from wsi_pipeline.annotation.shapes import Area
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.slide.info import Level

CIRCLE = shapely.Polygon(
    shapely.Point(1500, 1000).buffer(800).exterior,
    [shapely.Point(1700, 900).buffer(200).exterior],
)


def outline(area: Area = CIRCLE) -> OutlineTruth:
    return OutlineTruth("asap", area)


def test_openslide_reads_every_level_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mask.tiff"
    on = canvas(Size(4200, 3100), 0, mpp=Mpp(0.25, 0.25))
    drawn = write_mask(outline(), path, on)
    with openslide.OpenSlide(path) as slide:
        assert slide.level_dimensions == ((4200, 3100), (2100, 1550), (1050, 775))[: len(on.levels)]
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        for index, level in enumerate(on.levels):
            pixels = np.asarray(slide.read_region((0, 0), index, slide.level_dimensions[index]))
            grey = pixels[..., 0]
            assert set(np.unique(grey)) == {0, 255}
            expected = outline().window(0, 0, level.size.width, level.size.height, level.downsample)
            np.testing.assert_array_equal(grey == 255, expected)
            if index == 0:
                assert drawn == expected.sum() == pytest.approx(CIRCLE.area, rel=1e-3)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages.first.is_tiled
        assert tiff.pages.first.compression != 1


@pytest.mark.parametrize("size", [Size(1, 1), Size(511, 513), Size(512, 512), Size(1537, 40)])
@pytest.mark.parametrize("covers", [True, False])
def test_any_size_is_drawn_to_its_edge(tmp_path: Path, size: Size, covers: bool) -> None:
    path = tmp_path / "mask.tiff"
    area = shapely.box(-5, -5, 2000, 2000) if covers else shapely.box(0.2, 0.2, 0.3, 0.3)
    drawn = write_mask(outline(area), path, canvas(size, 0))
    with tifffile.TiffFile(path) as tiff:
        pixels = tiff.pages.first.asarray()
        # Nothing beyond the edge either, in what tiles are filled up with.
        segments = [tile for tile, *_ in tiff.pages.first.segments() if tile is not None]
        padded = sum(int((np.asarray(tile) != 0).sum()) for tile in segments)
    assert pixels.shape == (size.height, size.width)
    assert (pixels == (255 if covers else 0)).all()
    assert drawn == padded == (size.area if covers else 0)


def test_a_mask_may_begin_at_a_coarser_level(tmp_path: Path) -> None:
    path = tmp_path / "mask.tiff"
    size = Size(4203, 3107)
    on = canvas(size, 3)
    assert on.levels[0] == Level(Size(525, 388), 8)
    write_mask(outline(), path, on, value=2)
    # It says itself where it belongs: without the slide's size, and whatever the level.
    for given in (None, size):
        truth = open_truth(path, "mask-2", given)
        np.testing.assert_array_equal(
            truth.window(0, 0, 525, 388, 8), outline().window(0, 0, 525, 388, 8)
        )
    with pytest.raises(Exception, match="was drawn for a slide of 4,203 × 3,107 px"):
        open_truth(path, "mask-2", Size(4204, 3107))
    with pytest.raises(Exception, match="says that its tumour is 2"):
        open_truth(path, "mask-255", size)


def test_the_levels_of_a_slide_are_taken_as_they_are() -> None:
    own = (Level(Size(9001, 7001), 1), Level(Size(2250, 1750), 4), Level(Size(562, 437), 16))
    on = canvas(Size(9001, 7001), 1, own)
    assert on.levels[:2] == own[1:]
    assert max(canvas(Size(9001, 7001), 0, own[:1]).levels[-1].size.width, 0) <= 2048


def test_a_mask_is_drawn_from_a_mask_too(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tiff", tmp_path / "b.tiff"
    size = Size(3000, 2500)
    write_mask(outline(), first, canvas(size, 0))
    write_mask(open_truth(first, "mask-255", size), second, canvas(size, 0), value=1)
    np.testing.assert_array_equal(tifffile.imread(second), tifffile.imread(first) // 255)


@pytest.mark.parametrize("level", [-1, 14])
def test_a_level_that_is_not_there_is_refused(level: int) -> None:
    with pytest.raises(UsageError, match="has no level"):
        canvas(Size(9000, 7000), level)
    with pytest.raises(UsageError, match="levels 0 to 0"):
        canvas(Size(9000, 7000), 1, (Level(Size(9000, 7000), 1),))


def test_nothing_is_replaced_or_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mask.tiff"
    path.write_bytes(b"mine")
    on = canvas(Size(100, 100), 0)
    with pytest.raises(UsageError, match="already exists"):
        write_mask(outline(), path, on)
    with pytest.raises(UsageError, match="no folder"):
        write_mask(outline(), tmp_path / "absent" / "mask.tiff", on)
    with pytest.raises(UsageError, match="1-255"):
        write_mask(outline(), path, on, value=0, overwrite=True)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_mask(outline(), path, on, overwrite=True)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_progress_ends_at_all_tiles(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_mask(
        outline(),
        tmp_path / "mask.tiff",
        canvas(Size(9000, 8000), 0),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


_LARGE = """
import sys
from pathlib import Path
import shapely
import shapely.affinity
from wsi_pipeline.annotation import OutlineTruth
from wsi_pipeline.annotation.drawing import canvas, write_mask
from wsi_pipeline.geometry import Size
bar = shapely.box(2000, 25_000, 60_000, 27_000)
turned = [shapely.affinity.rotate(bar, angle, origin=(31_000, 26_000)) for angle in (0, 30, 75)]
truth = OutlineTruth("asap", shapely.union_all(turned))
write_mask(truth, Path(sys.argv[1]), canvas(Size(62_000, 54_000), 0))
# Not ru_maxrss, which a child inherits.
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def test_a_real_slides_size_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "mask.tiff"
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 200_000  # kB; half of it is Python and its libraries
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == (62_000, 54_000)
        assert np.asarray(slide.read_region((30_900, 25_900), 0, (1, 1)))[0, 0, 0] == 255
