"""Written slides: readable, repeatable, and true to their truth."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import openslide
import pytest
import tifffile
from shapely import contains_xy
from shapely.geometry import Polygon

from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.synth import SynthSlide, SynthSpec, truth_paths, write_slide
from wsi_pipeline.synth.encode import halve
from wsi_pipeline.synth.scene import CHUNK, Scene

RECTANGLES = (Region(0, 512, 512, 512, 256), Region(0, 1280, 1024, 256, 256))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slides")


@pytest.fixture(scope="module")
def plain(folder: Path) -> SynthSlide:
    """Odd sizes, several foci."""
    return write_slide(SynthSpec(Size(2999, 2101), seed=11, tile=256), folder / "plain.tiff")


@pytest.fixture(scope="module")
def planted(folder: Path) -> SynthSlide:
    """Rectangles that lie on the grids of six levels."""
    spec = SynthSpec(Size(2048, 2048), seed=12, tumour=RECTANGLES, levels=6)
    return write_slide(spec, folder / "planted.tiff")


def level(path: Path, number: int) -> npt.NDArray[np.uint8]:
    with tifffile.TiffFile(path) as tiff:
        return np.asarray(tiff.pages[number].asarray())


def test_openslide_reads_a_generic_tiff(plain: SynthSlide) -> None:
    assert openslide.OpenSlide.detect_format(plain.path) == "generic-tiff"
    with openslide.OpenSlide(plain.path) as slide:
        sizes = ((2999, 2101), (1499, 1050), (749, 525), (374, 262))
        assert slide.level_dimensions == sizes
        assert tuple((s.width, s.height) for s in plain.levels) == sizes
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.25)
    with openslide.OpenSlide(plain.mask) as mask:
        assert mask.level_dimensions == sizes


def test_openslide_takes_svs_like_for_aperio(tmp_path: Path) -> None:
    spec = SynthSpec(Size(1111, 900), seed=3, format="svs-like", mpp=0.5, tile=256, padding=True)
    written = write_slide(spec, tmp_path / "s.svs")
    with openslide.OpenSlide(written.path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert slide.properties["openslide.objective-power"] == "20"
        assert slide.level_dimensions == ((1111, 900), (555, 450), (277, 225))
        assert set(slide.associated_images) == {"thumbnail"}
        corner = np.asarray(slide.read_region((1111 - 32, 900 - 32), 0, (32, 32)))
    assert corner[..., :3].max() == 0
    assert corner[..., 3].min() == 255


def test_the_same_spec_gives_the_same_bytes(planted: SynthSlide, tmp_path: Path) -> None:
    again = write_slide(planted.spec, tmp_path / "planted.tiff")
    assert again.path.read_bytes() == planted.path.read_bytes()
    assert again.mask.read_bytes() == planted.mask.read_bytes()
    assert again.annotations.read_bytes() == planted.annotations.read_bytes()


def test_artefacts_are_repeatable_and_reported(tmp_path: Path) -> None:
    spec = SynthSpec(
        Size(2400, 2200), seed=5, pen=True, folds=1, blur=1, debris=3, padding=True, tumour=0.0
    )
    first = write_slide(spec, tmp_path / "one.tiff")
    second = write_slide(spec, tmp_path / "two.tiff")
    assert first.path.read_bytes() == second.path.read_bytes()
    kinds = [str(facts["kind"]) for facts in first.artefacts]
    assert sorted(set(kinds)) == ["blur", "debris", "fold", "padding", "pen"]
    clean = SynthSpec(Size(2400, 2200), seed=5, tumour=0.0, padding=True)
    other = write_slide(clean, tmp_path / "clean.tiff")
    assert (level(first.path, 0) != level(other.path, 0)).any(axis=-1).mean() > 0.01


@pytest.mark.parametrize("number", range(6))
def test_rectangles_are_exact_at_every_level(planted: SynthSlide, number: int) -> None:
    expected = np.zeros((2048 >> number, 2048 >> number), np.uint8)
    for box in RECTANGLES:
        rows = slice(box.y >> number, box.bottom >> number)
        expected[rows, box.x >> number : box.right >> number] = 255
    np.testing.assert_array_equal(level(planted.mask, number), expected)


def test_tissue_fills_and_surrounds_rectangles(planted: SynthSlide) -> None:
    image = level(planted.path, 3).astype(float) @ [0.2125, 0.7154, 0.0721] / 255
    for box in RECTANGLES:
        grown = image[
            (box.y - 48) >> 3 : (box.bottom + 48) >> 3, (box.x - 48) >> 3 : (box.right + 48) >> 3
        ]
        inside = image[box.y >> 3 : box.bottom >> 3, box.x >> 3 : box.right >> 3]
        assert (inside <= 0.8).mean() > 0.97
        assert (grown <= 0.8).mean() > 0.8


def test_the_mask_is_the_annotations(plain: SynthSlide) -> None:
    root = ET.parse(plain.annotations).getroot()  # our own file
    drawn = np.zeros((2101, 2999), bool)
    x, y = np.meshgrid(np.arange(2999) + 0.5, np.arange(2101) + 0.5)
    count = 0
    for annotation in root.iter("Annotation"):
        assert annotation.get("Type") == "Polygon"
        assert annotation.get("PartOfGroup") in {"Tumor", "Exclusion"}
        points = [
            (float(c.attrib["X"]), float(c.attrib["Y"])) for c in annotation.iter("Coordinate")
        ]
        drawn ^= contains_xy(Polygon(points), x, y)
        count += 1
    assert count >= 3
    mask = level(plain.mask, 0)
    assert set(np.unique(mask)) == {0, 255}
    assert int((mask > 0).sum()) == plain.tumour_px
    # Only px whose centre lies on an outline may differ.
    assert int(((mask > 0) != drawn).sum()) <= 5
    assert {g.get("Name") for g in root.iter("Group")} == {"Tumor", "Exclusion"}


def test_a_slide_without_tumour_has_empty_truth(tmp_path: Path) -> None:
    written = write_slide(SynthSpec(Size(600, 500), tumour=0.0), tmp_path / "n.tiff")
    assert not level(written.mask, 0).any()
    assert written.tumour_px == 0
    assert not list(ET.parse(written.annotations).getroot().iter("Annotation"))


def test_levels_are_area_means(plain: SynthSlide) -> None:
    for number in range(1, len(plain.levels)):
        above = halve(level(plain.path, number - 1))
        error = np.abs(above.astype(int) - level(plain.path, number))
        assert error.mean() < 4.0
        assert abs(float(above.mean()) - float(level(plain.path, number).mean())) < 0.5


def test_glass_tiles_equal_drawn_glass(plain: SynthSlide) -> None:
    scene = Scene(plain.spec)
    found = np.argwhere(scene.plain(0, 0, 2048, 2048))
    assert len(found) > 3
    whole = level(plain.path, 0)
    for row, column in (found[:3] * CHUNK).tolist():
        drawn = scene.render(column, row, CHUNK, CHUNK).image
        written = whole[row : row + CHUNK, column : column + CHUNK]
        error = np.abs(drawn.astype(int) - written)
        assert error.max() <= 12
        assert error.mean() < 2
        luminance = written.astype(float) @ [0.2125, 0.7154, 0.0721] / 255
        assert 0.92 < luminance.mean() < 0.97


def test_files_in_the_way_are_kept(planted: SynthSlide) -> None:
    before = planted.path.stat()
    with pytest.raises(UsageError, match="--overwrite"):
        write_slide(planted.spec, planted.path)
    assert planted.path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_slide(SynthSpec(Size(600, 500)), tmp_path / "s.tiff", stop)
    assert list(tmp_path.iterdir()) == []


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_slide(SynthSpec(Size(2100, 300)), tmp_path / "s.tiff", lambda *now: seen.append(now))
    assert seen == [(2048 * 300, 630_000), (630_000, 630_000)]
    assert truth_paths(tmp_path / "s.tiff") == (tmp_path / "s_mask.tiff", tmp_path / "s.xml")
