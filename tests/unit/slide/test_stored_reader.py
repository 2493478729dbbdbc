"""Every layout of TIFF, and PNG and JPEG: px are those of tifffile and Pillow, bit for bit."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Mpp, Region
from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.slide.integrity import check_integrity
from wsi_pipeline.slide.picture_reader import PictureReader
from wsi_pipeline.slide.stored_reader import COMPUTED
from wsi_pipeline.slide.tiff.reader import TiffReader
from wsi_pipeline.testing.slides import Pixels, cut

Y, X = np.mgrid[:150, :301]
IMAGE = np.stack([120 + X / 6, 90 + Y / 3, 200 - (X + Y) / 12], axis=-1).clip(0, 255).astype("u1")
IMAGE[40:70, 50:100] = (200, 60, 90)
PLANES = np.moveaxis(IMAGE, -1, 0)
STRIPS: dict[str, Any] = {"rowsperstrip": 32}
TILES: dict[str, Any] = {"tile": (64, 48)}


def tiff(image: Any = IMAGE, *, ome: bool = False, **options: Any) -> Callable[[Path], object]:
    colour = {"photometric": "rgb"} | options
    return lambda path: tifffile.imwrite(path, image, ome=ome, **colour)


def picture(mode: str, **options: Any) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        image = Image.fromarray(IMAGE)
        changed = image.quantize(40) if mode == "P" else image.convert(mode)
        changed.save(path, **options)

    return write


def planar(**options: Any) -> Callable[[Path], object]:
    return tiff(PLANES, planarconfig="separate", **options)


OME_PLANES: dict[str, Any] = {
    "ome": True,
    "photometric": "minisblack",
    "metadata": {"axes": "CYX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25},
}
LAYOUTS: dict[str, Callable[[Path], object]] = {
    "plain-one-strip.tif": tiff(),
    "plain-strips.tif": tiff(**STRIPS),
    "lzw-predictor.tif": tiff(compression="lzw", predictor=True, **STRIPS),
    "deflate-predictor.tif": tiff(compression="deflate", predictor=True, **STRIPS),
    "packbits.tif": tiff(compression="packbits", **STRIPS),
    "zstd.tif": tiff(compression="zstd", **STRIPS),
    "lzma-tiles.tif": tiff(compression="lzma", **TILES),
    "jpeg-strips.tif": tiff(compression="jpeg", photometric="ycbcr", **STRIPS),
    "jpeg-2000-strips.tif": tiff(compression="jpeg2000", **STRIPS),
    "jpeg-2000-tiles.tif": tiff(compression="jpeg2000", **TILES),
    "webp-strips.tif": tiff(compression="webp", **STRIPS),
    "webp-tiles.tif": tiff(compression="webp", **TILES),
    "jpeg-xl-strips.tif": tiff(compression="jpegxl", **STRIPS),
    "jpeg-xl-tiles.tif": tiff(compression="jpegxl", **TILES),
    "png-tiles.tif": tiff(compression="png", **TILES),
    "jpeg-xr-tiles.tif": tiff(compression="jpegxr", **TILES),
    "planar.tif": planar(),
    "planar-lzw.tif": planar(compression="lzw", predictor=True, **STRIPS),
    "planar-jpeg.tif": planar(compression="jpeg", **STRIPS),
    "planar-jpeg-2000-tiles.tif": planar(compression="jpeg2000", **TILES),
    "ome-strips.ome.tif": tiff(ome=True, metadata={"axes": "YXS"}, **STRIPS),
    "ome-cyx.ome.tif": tiff(PLANES, **OME_PLANES),
    "ome-cyx-tiles.ome.tif": tiff(PLANES, compression="deflate", **OME_PLANES, **TILES),
    "ome-planar.ome.tif": planar(ome=True, metadata={"axes": "CYX"}),
    "rgb.png": picture("RGB"),
    "palette.png": picture("P"),
    "baseline.jpg": picture("RGB", quality=85),
    "progressive.jpg": picture("RGB", quality=85, progressive=True, subsampling=0),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("layouts")
    for name, write in LAYOUTS.items():
        write(folder / name)
    return {name: folder / name for name in LAYOUTS}


def decoded(path: Path) -> Pixels:
    """The whole picture as tifffile or Pillow decode it."""
    if path.suffix != ".tif":
        return np.asarray(Image.open(path).convert("RGB"))
    pixels = np.asarray(tifffile.imread(path))
    return np.moveaxis(pixels, 0, -1) if pixels.shape[0] == 3 else pixels


def whole(reader: SlideReader, level: int = 0) -> Pixels:
    size = reader.info.levels[level].size
    return reader.read(Region(level, 0, 0, size.width, size.height))


def box_means(image: Pixels, factor: int) -> Pixels:
    """Means of squares, of what there is of them, rounded half up; the plain way."""
    rows, columns = -(-image.shape[0] // factor), -(-image.shape[1] // factor)
    out = np.empty((rows, columns, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            square = image[row * factor :, column * factor :][:factor, :factor].reshape(-1, 3)
            total = square.sum(axis=0, dtype=np.int64)
            out[row, column] = (2 * total + len(square)) // (2 * len(square))
    return out


@pytest.mark.parametrize("name", LAYOUTS)
def test_any_region_is_a_part_of_the_whole_picture(files: dict[str, Path], name: str) -> None:
    reader = open_slide(files[name])
    expected = decoded(files[name])
    assert reader.path_of(0) == ("tiff" if name.endswith(".tif") else "picture")
    assert [reader.path_of(1), len(reader.info.levels)] == [COMPUTED, 2]
    levels = (expected, box_means(expected, 2))
    side = st.integers(1, 120)

    @settings(max_examples=25)
    @given(st.integers(0, 1), st.integers(-20, 310), st.integers(-20, 160), side, side)
    def check(level: int, x: int, y: int, width: int, height: int) -> None:
        region = Region(level, x, y, width, height)
        pixels, scanned = reader.read_scanned(region)
        assert np.array_equal(pixels, cut(levels[level], region, 255))
        assert np.array_equal(pixels, reader.read(region))
        assert np.array_equal(scanned, cut(np.ones(levels[level].shape[:2], bool), region, 0))

    check()
    assert np.array_equal(whole(reader), expected)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_truncated_file_is_found_out(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    data = files[name].read_bytes()
    path = tmp_path / name
    # Files of tifffile end with padding, or with the metadata of the directory.
    for kept in (9, 40, len(data) // 4, len(data) // 2, len(data) * 3 // 4, len(data) - 40):
        path.write_bytes(data[:kept])
        with pytest.raises(DamagedSlideError, match=r"truncated|damaged"):
            check_integrity((path,))
        # Opened without that check: an error of the slide, or px that are there.
        with contextlib.suppress(SlideError):
            whole(open_slide(path))


def test_transparent_px_are_white_and_not_scanned(tmp_path: Path) -> None:
    alpha = np.where(X < 100, 255, np.where(X < 200, 100, 0)).astype(np.uint8)
    stored = np.dstack([IMAGE, alpha])
    Image.fromarray(stored).save(tmp_path / "a.png")
    tiff(stored, extrasamples=["unassalpha"])(tmp_path / "a.tif")
    webp: dict[str, Any] = {"compression": "webp", "compressionargs": {"lossless": True}, **TILES}
    tiff(stored, extrasamples=["unassalpha"], **webp)(tmp_path / "b.tif")
    white = Image.new("RGB", (301, 150), "white")
    white.paste(Image.fromarray(IMAGE), mask=Image.fromarray(alpha))
    for name in ("a.png", "a.tif", "b.tif"):
        reader = open_slide(tmp_path / name)
        pixels, scanned = reader.read_scanned(Region(0, 0, 0, 301, 150))
        assert np.abs(pixels.astype(int) - np.asarray(white)).max() <= 1
        assert np.array_equal(pixels[:, :100], IMAGE[:, :100])
        assert np.array_equal(scanned, alpha > 0)
        coarse, seen = reader.read_scanned(Region(1, 0, 0, 151, 75))
        assert np.array_equal(coarse, box_means(pixels, 2))
        assert seen[:, :100].all()
        assert not seen[:, 100:].any()


def test_premultiplied_colours_are_laid_over_white(tmp_path: Path) -> None:
    stored = np.full((20, 20, 4), (50, 0, 25, 100), np.uint8)
    tiff(stored, extrasamples=["assocalpha"])(tmp_path / "a.tif")
    assert (whole(open_slide(tmp_path / "a.tif")) == (205, 155, 180)).all()


def test_a_fourth_channel_of_unstated_meaning_is_left_out(tmp_path: Path) -> None:
    stored = np.dstack([IMAGE, IMAGE[..., 0]])
    tiff(stored, extrasamples=["unspecified"])(tmp_path / "a.tif")
    reader = open_slide(tmp_path / "a.tif")
    assert np.array_equal(whole(reader), IMAGE)
    assert "left out" in reader.info.warnings[0]


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    palette = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    colormap = palette.T.astype(np.uint16) * 257
    options: dict[str, Any] = {"photometric": "palette", "colormap": colormap}
    tiff(IMAGE[..., 0], **options)(tmp_path / "a.tif")
    assert np.array_equal(whole(open_slide(tmp_path / "a.tif")), palette[IMAGE[..., 0]])


def test_ycbcr_of_aperio_s_jpeg_2000_becomes_rgb(tmp_path: Path) -> None:
    """Method 33003 in a file whose description is not Aperio's, so that OpenSlide refuses it."""
    path = tmp_path / "a.tif"
    ycbcr = np.asarray(Image.fromarray(IMAGE[:128, :256]).convert("YCbCr"))
    tiles = [
        bytes(imagecodecs.jpeg2k_encode(ycbcr[:, x : x + 128].copy(), level=0, mct=False))
        for x in (0, 128)
    ]
    tifffile.imwrite(
        path,
        iter(tiles),
        shape=(128, 256, 3),
        dtype=np.uint8,
        tile=(128, 128),
        photometric="rgb",
        compression=33003,
    )
    difference = whole(open_slide(path)).astype(int) - IMAGE[:128, :256]
    assert np.abs(difference).max() <= 3  # YCbCr is rounded


def test_levels_of_a_webp_pyramid_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    image = np.asarray(Image.fromarray(IMAGE).resize((602, 300)))
    pyvips.Image.new_from_array(image).tiffsave(
        str(path), tile=True, pyramid=True, tile_width=64, tile_height=64, compression="webp",
        lossless=True, xres=2000, yres=2000, resunit="cm",
    )  # fmt: skip
    reader = open_slide(path)
    assert [level.downsample for level in reader.info.levels] == [1, 2, 4, 8, 16]
    assert {reader.path_of(index) for index in range(5)} == {"tiff"}
    assert reader.info.mpp == Mpp(0.5, 0.5)
    with tifffile.TiffFile(path) as file:
        for index, page in enumerate(file.pages):
            assert np.array_equal(whole(reader, index), page.asarray())


@pytest.mark.parametrize(
    ("image", "options", "property_named"),
    [
        (IMAGE[..., 0], {"photometric": "minisblack"}, "8-bit grey, one channel"),
        (IMAGE[..., 0] > 99, {"photometric": "minisblack"}, "1-bit grey.*mask or drawing"),
        (IMAGE.astype("u2"), {}, r"3 × 16-bit.*`vips colourspace"),
        (IMAGE.astype("f4"), {}, "32-bit floating-point"),
        (np.dstack([IMAGE, IMAGE[..., 0]]), {"photometric": "separated"}, "CMYK.*`vips colour"),
        (IMAGE, {"photometric": "cielab"}, r"CIE L\*a\*b\*.*`vips colourspace"),
        (np.dstack([IMAGE, IMAGE[..., :2]]), {}, "5 channels"),
        (np.stack([IMAGE] * 3), {}, "a stack of pictures.*`bfconvert"),
        (PLANES, {"photometric": "minisblack"}, "a stack of pictures"),
        (IMAGE, {"photometric": "ycbcr", "compression": "lzw"}, "YCbCr without JPEG.*`vips tiff"),
    ],
)
def test_a_refusal_names_the_property(
    tmp_path: Path, image: Any, options: dict[str, Any], property_named: str
) -> None:
    tiff(image, **options)(tmp_path / "a.tif")
    with pytest.raises(UnsupportedSlideError, match=property_named):
        open_slide(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("mode", "suffix", "property_named"),
    [
        ("L", "png", "grey"),
        ("LA", "png", "grey"),
        ("L", "jpg", "grey"),
        ("CMYK", "jpg", "CMYK.*`vips colourspace"),
    ],
)
def test_a_refused_picture_s_property_is_named(
    tmp_path: Path, mode: str, suffix: str, property_named: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    picture(mode)(path)
    with pytest.raises(UnsupportedSlideError, match=property_named):
        open_slide(path)


def test_the_commands_of_refusals_make_readable_files(tmp_path: Path) -> None:
    """The same operations of libvips that its command line runs."""
    sixteen, out = tmp_path / "a.tif", tmp_path / "out.tiff"
    tiff(IMAGE.astype("u2") * 257)(sixteen)
    converted = pyvips.Image.new_from_file(str(sixteen)).colourspace("srgb")
    converted.write_to_file(f"{out}[tile,pyramid,compression=jpeg]")
    assert np.abs(whole(open_slide(out)).astype(int) - IMAGE).mean() < 4
    png, out = tmp_path / "a.png", tmp_path / "out.png"
    png.write_bytes(imagecodecs.png_encode(IMAGE.astype("u2") * 257))
    with pytest.raises(UnsupportedSlideError, match=r"16 bits.*`vips colourspace IN OUT\.png"):
        open_slide(png)
    pyvips.Image.new_from_file(str(png)).colourspace("srgb").write_to_file(str(out))
    assert np.array_equal(whole(open_slide(out)), IMAGE)
    cmyk, out = tmp_path / "a.jpg", tmp_path / "cmyk.png"
    picture("CMYK")(cmyk)
    pyvips.Image.new_from_file(str(cmyk)).colourspace("srgb").write_to_file(str(out))
    open_slide(out)


@pytest.mark.parametrize(("dpi", "states"), [(72, None), (300, None), (50_800, 0.5), (877, 28.96)])
def test_a_resolution_for_printing_is_no_spacing(
    tmp_path: Path, dpi: int, states: float | None
) -> None:
    tiff(resolution=(dpi, dpi), resolutionunit="inch")(tmp_path / "a.tif")
    picture("RGB", dpi=(dpi, dpi))(tmp_path / "a.png")
    picture("RGB", dpi=(min(dpi, 9999), min(dpi, 9999)))(tmp_path / "a.jpg")
    info = open_slide(tmp_path / "a.tif").info
    if states is None:
        assert info.mpp is None
        assert "for printing" in info.warnings[0]
    else:
        assert info.mpp is not None
        assert info.mpp.x == pytest.approx(states, rel=1e-3)
    assert open_slide(tmp_path / "a.png").info.mpp is None
    assert open_slide(tmp_path / "a.jpg").info.mpp is None


def test_imagej_s_micrometres_are_a_spacing(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, imagej=True, resolution=(4, 2), metadata={"unit": "um"})
    reader = open_slide(path)
    assert reader.info.mpp == Mpp(0.25, 0.5)
    assert np.array_equal(whole(reader), IMAGE)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_exif_orientation_turns_nothing_and_is_mentioned(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("RGB", exif=exif)(tmp_path / name)
    reader = open_slide(tmp_path / name)
    assert np.array_equal(whole(reader), decoded(tmp_path / name))
    assert "EXIF orientation 6 is not applied" in reader.info.warnings[0]


def test_bombs_are_refused_by_their_headers(tmp_path: Path) -> None:
    png = bytearray(io.BytesIO(imagecodecs.png_encode(IMAGE)).getvalue())
    png[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(UnsupportedSlideError, match=r"decoded whole.*`vips tiffsave"):
        open_slide(tmp_path / "a.png")
    (tmp_path / "zero.png").write_bytes(bytes(png[:16]) + bytes(8) + bytes(png[24:]))
    with pytest.raises(DamagedSlideError, match="0 × 0 px"):
        open_slide(tmp_path / "zero.png")
    jpeg = bytearray(imagecodecs.jpeg8_encode(IMAGE))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = b"\xff\xff" * 2
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with pytest.raises(UnsupportedSlideError, match="65,535 × 65,535 px are more than"):
        open_slide(tmp_path / "a.jpg")
    path = tmp_path / "strip.tif"
    strip = bytes(imagecodecs.zlib_encode(bytes(100)))
    options: dict[str, Any] = {"rowsperstrip": 20_000, "compression": "deflate"}
    shape = (20_000, 20_000, 3)
    tifffile.imwrite(path, iter([strip]), shape=shape, dtype="u1", photometric="rgb", **options)
    with pytest.raises(UnsupportedSlideError, match=r"strips of 20,000 × 20,000.*`vips tiffsave"):
        open_slide(path)


@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "jpegxl", "png", "jpegxr"])
def test_a_tile_that_is_larger_than_it_may_be_is_not_decoded(
    tmp_path: Path, compression: str
) -> None:
    encode = getattr(imagecodecs, {"jpeg2000": "jpeg2k"}.get(compression, compression) + "_encode")
    path = tmp_path / "a.tif"
    tiles = iter([bytes(encode(np.zeros((512, 512, 3), np.uint8)))])
    tifffile.imwrite(
        path,
        tiles,
        shape=(64, 64, 3),
        dtype=np.uint8,
        tile=(64, 64),
        photometric="rgb",
        compression=compression,
    )
    with pytest.raises(DamagedSlideError, match="cannot decode tile 0"):
        TiffReader(path).read(Region(0, 0, 0, 8, 8))


@settings(max_examples=150)
@given(st.data())
def test_whatever_a_file_s_bytes_are_there_are_px_or_an_error_of_the_slide(
    files: dict[str, Path], data: st.DataObject
) -> None:
    path = files[data.draw(st.sampled_from(sorted(LAYOUTS)))]
    damaged = bytearray(path.read_bytes())
    # Headers and directories are at the ends.
    places = st.one_of(st.integers(0, 400), st.integers(0, len(damaged) - 1))
    for at in data.draw(st.lists(places, min_size=1, max_size=6)):
        damaged[min(at, len(damaged) - 1)] = data.draw(st.integers(0, 255))
    broken = path.with_name(f"broken{path.suffix}")
    broken.write_bytes(damaged)
    opener = PictureReader if path.suffix in (".png", ".jpg") else TiffReader
    with contextlib.suppress(SlideError):
        reader = opener(broken)
        size = reader.info.size
        if size.area < 10**7:
            assert whole(reader).shape == (size.height, size.width, 3)
