"""Single images of every usual kind are read as they look, and others are refused with a cause."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import ImageError
from wsi_pipeline.images import MAX_IMAGE_PX, read_picture

HEIGHT, WIDTH = 12, 20


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_lossless_formats_give_the_same_px(
    tmp_path: Path, rgb: NDArray[np.uint8], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(rgb).save(path, **options)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, rgb)
    assert (picture.width, picture.height, picture.warnings) == (WIDTH, HEIGHT, ())


def test_grey_and_palette_become_rgb(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    grey = tmp_path / "grey.png"
    Image.fromarray(rgb[..., 0]).save(grey)
    np.testing.assert_array_equal(read_picture(grey).pixels, np.repeat(rgb[..., :1], 3, axis=2))
    few = Image.fromarray(rgb).quantize(16)
    few.save(tmp_path / "few.png")
    np.testing.assert_array_equal(
        read_picture(tmp_path / "few.png").pixels, np.asarray(few.convert("RGB"))
    )


def test_transparent_px_lie_over_white(tmp_path: Path, rgb: NDArray[np.uint8]) -> None:
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    alpha[:, : WIDTH // 2] = 255
    Image.fromarray(np.concatenate([rgb, alpha], axis=2)).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(pixels[:, : WIDTH // 2], rgb[:, : WIDTH // 2])
    assert (pixels[:, WIDTH // 2 :] == 255).all()


def _png(values: NDArray[np.uint16], path: Path) -> None:
    path.write_bytes(imagecodecs.png_encode(values))


def _tiff(values: NDArray[np.uint16], path: Path) -> None:
    tifffile.imwrite(path, values, photometric="rgb" if values.ndim == 3 else "minisblack")


@pytest.mark.parametrize("write", [_png, _tiff])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_sixteen_bits_keep_their_range(
    tmp_path: Path,
    write: Callable[[NDArray[np.uint16], Path], None],
    channels: tuple[int, ...],
) -> None:
    values = np.random.default_rng(2).integers(0, 65_536, (HEIGHT, WIDTH, *channels), np.uint16)
    values.flat[:2] = 0, 65_535
    write(values, tmp_path / "a")
    wanted = np.rint(values / 257)
    if not channels:
        wanted = np.repeat(wanted[..., None], 3, axis=2)
    picture = read_picture(tmp_path / "a")
    np.testing.assert_array_equal(picture.pixels, wanted)
    assert picture.warnings == ()


def test_sixteen_bits_whose_zero_is_white(tmp_path: Path) -> None:
    values = np.array([[0, 65_535, 65_535 - 257]], np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    assert read_picture(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [255, 0, 1]


def test_a_camera_of_twelve_bits_is_told(tmp_path: Path) -> None:
    _tiff(np.full((4, 4), 4000, np.uint16), tmp_path / "dark.tif")
    assert "too dark" in read_picture(tmp_path / "dark.tif").warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_applied(
    tmp_path: Path, rgb: NDArray[np.uint8], orientation: int
) -> None:
    # Top left, top right, bottom left, bottom right: two rows and three columns of plain colours.
    colours = np.array([[0, 60, 120], [180, 220, 255]], np.uint8)
    upright = np.repeat(np.kron(colours, np.ones((16, 16), np.uint8))[..., None], 3, axis=2)
    # EXIF 2.3, 4.6.4: what has to be done to the stored px; here the reverse is stored.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", quality=100, exif=exif)
    pixels = read_picture(tmp_path / "a.jpg").pixels
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() < 8


def _text(path: Path) -> None:
    path.write_text("These are no px.\n" * 20)


def _empty(path: Path) -> None:
    path.touch()


def _huge(path: Path) -> None:
    # A few hundred kB that decode to almost two gigabytes.
    Image.new("1", (40_000, 40_000)).save(path, "PNG")


def _animated(path: Path) -> None:
    frames = [Image.new("L", (8, 8), value) for value in (0, 100, 200)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def _pages(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint8), photometric="minisblack")


def _cmyk(path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(path, "JPEG")


def _floats(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((8, 8), np.float32))


def _truncated(path: Path) -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    path.write_bytes(file.getvalue()[:-2000])


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (_text, "is no PNG, JPEG, BMP, TIFF or WebP image"),
        (_empty, "is empty"),
        (_huge, f"at most {MAX_IMAGE_PX:,} px"),
        (_animated, "is no PNG"),
        (_pages, "holds 3 pictures"),
        (_cmyk, "CMYK"),
        (_floats, "kind F"),
        (_truncated, "is damaged"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, write: Callable[[Path], None], cause: str
) -> None:
    path = tmp_path / "cell.bmp"
    write(path)
    with pytest.raises(ImageError) as caught:
        read_picture(path)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ImageError, match="cannot be read"):
            read_picture(path)
