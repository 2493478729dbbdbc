"""Pixels are shown as they are where that is certain, and refused where they cannot be right."""

from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames

from wsi_pipeline.errors import SlideContentError
from wsi_pipeline.geometry import Region
from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.slide.colour_correction import check_colours
from wsi_pipeline.slide.jpeg_header import Encoding
from wsi_pipeline.slide.probe import probe
from wsi_pipeline.testing import ArraySlide, check_reader
from wsi_pipeline.testing.sections import Marker, draw_section, write_labelled_jpeg
from wsi_pipeline.testing.slides import Pixels, reduced

SECTION = draw_section(size=(640, 512))


def whole(reader: SlideReader, level: int) -> Pixels:
    size = reader.info.levels[level].size
    return reader.read(Region(level, 0, 0, size.width, size.height))


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("marker", ["own", "none"])
@pytest.mark.parametrize(
    ("tag", "stored", "subsampled"),
    [("rgb", "YCBCR", True), ("rgb", "YCBCR", False), ("ycbcr", "RGB", False)],
)
def test_a_wrong_tag_is_corrected(
    tmp_path: Path,
    tag: Literal["rgb", "ycbcr"],
    stored: Encoding,
    subsampled: bool,
    marker: Marker,
    ome: bool,
) -> None:
    path, right = tmp_path / "a.tiff", tmp_path / "right.tiff"
    how: dict[str, Any] = {"stored": stored, "subsampled": subsampled, "ome": ome}
    write_labelled_jpeg(path, SECTION, tag=tag, marker=marker, **how)
    write_labelled_jpeg(right, SECTION, tag="ycbcr" if stored == "YCBCR" else "rgb", **how)
    reader, reference = open_slide(path), open_slide(right)
    assert reference.info.colours_corrected == ""
    stated, true = ("RGB", "YCbCr") if tag == "rgb" else ("YCbCr", "RGB")
    cause = reader.info.colours_corrected
    assert cause.startswith(f"the file's tag says {stated}, the JPEG data are {true}")
    levels = [whole(reference, index) for index in range(2)]
    for index, pixels in enumerate(levels):
        assert np.array_equal(whole(reader, index), pixels)
        assert difference(pixels, SECTION if index == 0 else reduced(SECTION, 2)) < 4
    check_reader(reader, levels)


@pytest.mark.parametrize("cover", [0.4, 1])
@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize(
    ("tag", "stored", "marker"),
    [
        ("rgb", "RGB", "none"),
        ("rgb", "RGB", "jfif"),
        ("ycbcr", "YCBCR", "none"),
    ],
)
def test_a_right_tag_is_believed(
    tmp_path: Path,
    tag: Literal["rgb", "ycbcr"],
    stored: Encoding,
    marker: Marker,
    cover: float,
    ome: bool,
) -> None:
    section = draw_section(size=(640, 512), cover=cover)
    path = tmp_path / "a.tiff"
    write_labelled_jpeg(path, section, tag=tag, stored=stored, marker=marker, ome=ome)
    reader = open_slide(path)
    assert reader.info.colours_corrected == ""
    assert difference(whole(reader, 0), section) < 4
    check_colours(reader)


def test_the_real_slide_with_a_wrong_tag_looks_like_its_original(data: Path) -> None:
    slides = data / "slides"
    wrong, original = (
        open_slide(slides / "dicom-wrong-photometric"),
        open_slide(slides / "cmu-1-small-region.svs"),
    )
    assert original.info.colours_corrected == ""
    assert "JFIF marker" in wrong.info.colours_corrected
    region = Region(0, 300, 900, 600, 500)
    assert difference(wrong.read(region), original.read(region)) < 6
    # All levels are labelled wrongly, and what is beyond the edge stays white.
    coarse = wrong.read(Region(2, 0, 0, 700, 800))
    assert (coarse[741:] == 255).all()
    assert (coarse[:, 555:] == 255).all()
    assert np.abs(np.median(coarse[:741, :555], axis=(0, 1)) - (244, 242, 242)).max() <= 3


def rewrite_dicom(
    source: Path, target: Path, stored: Encoding, tag: str, fragments: int = 1
) -> None:
    """Encode the frames of a file anew, and say something else of them."""
    file = pydicom.dcmread(source)
    frames = [
        bytes(
            imagecodecs.jpeg8_encode(
                imagecodecs.jpeg8_decode(frame, colorspace="YCBCR", outcolorspace="RGB"),
                level=95,
                colorspace="RGB",
                outcolorspace=stored,
            )
        )
        for frame in generate_frames(file.PixelData, number_of_frames=int(file.NumberOfFrames))
    ]
    file.PixelData = encapsulate(frames, fragments_per_frame=fragments)
    file.PhotometricInterpretation = tag
    file.save_as(target)


def test_dicom_is_corrected_the_other_way_too(tmp_path: Path, data: Path) -> None:
    source = data / "slides" / "dicom-wrong-photometric" / "level-2-frames-0-4.dcm"
    wrong, right = tmp_path / "wrong.dcm", tmp_path / "right" / "right.dcm"
    right.parent.mkdir()
    rewrite_dicom(source, wrong, "RGB", "YBR_FULL_422")
    rewrite_dicom(source, right, "RGB", "RGB")
    reader, reference = open_slide(wrong), open_slide(right)
    assert reference.info.colours_corrected == ""
    assert "says YCbCr, the JPEG data are RGB (by Adobe marker" in reader.info.colours_corrected
    check_reader(reader, [whole(reference, 0)])


def test_dicom_in_several_fragments_a_frame_is_refused(tmp_path: Path, data: Path) -> None:
    source = data / "slides" / "dicom-wrong-photometric" / "level-2-frames-0-4.dcm"
    rewrite_dicom(source, tmp_path / "a.dcm", "RGB", "YBR_FULL_422", fragments=2)
    with pytest.raises(SlideContentError, match="tag says YCbCr, the JPEG data are RGB"):
        open_slide(tmp_path / "a.dcm")


def write_plain(path: Path, image: Pixels) -> None:
    tifffile.imwrite(
        path,
        image,
        tile=(128, 128),
        photometric="rgb",
        compression="deflate",
        resolution=(20000, 20000),
        resolutionunit="CENTIMETER",
    )


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        (np.asarray(Image.fromarray(SECTION).convert("YCbCr")), "YCbCr .* labelled as RGB"),
        (255 - SECTION, "as in a negative"),
        (np.asarray(Image.fromarray(SECTION).convert("LAB")), "which no glass has|YCbCr"),
    ],
    ids=["ycbcr", "negative", "lab"],
)
def test_without_a_stream_to_ask_a_wrong_slide_is_refused(
    tmp_path: Path, image: Pixels, cause: str
) -> None:
    write_plain(tmp_path / "a.tiff", image)
    with pytest.raises(SlideContentError, match=f"bright-field slide: .*{cause}.*; export it"):
        probe(tmp_path / "a.tiff")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_wrong_picture_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(SECTION).save(path)
    check_colours(open_slide(path))
    raw = np.asarray(Image.fromarray(SECTION).convert("YCbCr"))
    Image.fromarray(raw, "RGB").save(path)
    with pytest.raises(SlideContentError, match="labelled as RGB"):
        probe(path)


def test_levels_are_computed_of_corrected_colours(tmp_path: Path) -> None:
    readers: dict[str, SlideReader] = {}
    tags: tuple[Literal["rgb", "ycbcr"], ...] = ("rgb", "ycbcr")
    for tag in tags:
        path = tmp_path / f"{tag}.ome.tiff"
        how: dict[str, Any] = {"ome": True, "downsamples": (1,)}
        write_labelled_jpeg(path, SECTION, tag=tag, stored="YCBCR", **how)
        readers[tag] = open_slide(path)
    wrong, right = readers["rgb"], readers["ycbcr"]
    assert wrong.info.colours_corrected
    assert wrong.path_of(1) == "computed"
    assert wrong.info.levels == right.info.levels
    assert np.array_equal(whole(wrong, 1), whole(right, 1))


def test_colours_are_checked_without_computing_levels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    how: dict[str, Any] = {"ome": True, "downsamples": (1,)}
    write_labelled_jpeg(path, np.tile(SECTION, (4, 4, 1)), tag="ycbcr", stored="YCBCR", **how)
    reader = open_slide(path)
    before = reader.bytes_read
    check_colours(reader)
    assert 0 < reader.bytes_read - before < path.stat().st_size / 2


def test_a_marker_that_agrees_with_a_wrong_tag_is_no_proof(tmp_path: Path) -> None:
    raw = np.asarray(Image.fromarray(SECTION).convert("YCbCr"))
    write_labelled_jpeg(tmp_path / "a.tiff", raw, tag="rgb", stored="RGB")
    with pytest.raises(SlideContentError, match="labelled as RGB"):
        probe(tmp_path / "a.tiff")


def test_the_probe_tells_of_a_correction(tmp_path: Path) -> None:
    write_labelled_jpeg(tmp_path / "a.tiff", SECTION, tag="rgb", stored="YCBCR")
    found = probe(tmp_path / "a.tiff").info
    assert found == open_slide(tmp_path / "a.tiff").info
    assert "YCbCr" in found.colours_corrected


def test_damage_and_padding_do_not_count() -> None:
    picture = np.asarray(Image.fromarray(SECTION).convert("YCbCr"))
    scanned = np.zeros(picture.shape[:2], np.bool_)
    scanned[:300] = True
    with pytest.raises(SlideContentError):
        check_colours(ArraySlide([picture], scanned=[scanned]))
    check_colours(ArraySlide([picture], scanned=[np.zeros_like(scanned)]))
    check_colours(ArraySlide([picture], unreadable=[Region(0, 0, 0, 640, 512)]))


@pytest.mark.parametrize("name", ["cmu-1-small-region.svs", "small.svs", "boxes.tiff"])
def test_real_slides_are_possible(data: Path, name: str) -> None:
    check_colours(open_slide(data / "slides" / name))
