"""Reading one image file as 8-bit RGB: PNG, JPEG, BMP, TIFF, WebP; 8 and 16 bit."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from wsi_pipeline.errors import ImageError

#: Endings of the files that a folder is searched for.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
#: Endings of images that are not read, and are refused by name where a folder holds them.
REFUSED = frozenset({".gif", ".heic", ".avif", ".jp2"})
#: Most px of an image. A larger one is a slide or a scan, and a decoded PNG of a few hundred kB
#: may be one that fills the memory.
MAX_IMAGE_PX = 64_000_000
#: Most bytes of a file: 16-bit RGBA without compression, and as much again for what it says.
_MAX_BYTES = 2 * 8 * MAX_IMAGE_PX
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
#: Pillow's modes of 8 bits or fewer that have one meaning as RGB.
_PLAIN = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa"})
_WIDE = frozenset({"I;16", "I;16B", "I;16L"})
_SIXTEEN = 65_535
_TWELVE = 4_095


@dataclass(frozen=True, slots=True)
class Picture:
    """The px of one image, upright.

    Attributes:
        pixels: ``(height, width, 3)`` uint8 RGB.
        warnings: What a person should know of how it was read.
    """

    pixels: NDArray[np.uint8]
    warnings: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """In px."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In px."""
        return int(self.pixels.shape[0])


def read_picture(path: Path) -> Picture:
    """One image file as upright 8-bit RGB.

    Transparent px are laid over white. 16-bit values are divided by 257, so that 65,535 is white.
    The orientation that a camera noted (EXIF) is applied.

    Raises:
        ImageError: it is no image that can be read, or not one image only; the cause says which.
    """
    return decode_picture(read_content(path), path)


def read_content(path: Path) -> bytes:
    """The bytes of an image's file, for :func:`decode_picture`.

    Raises:
        ImageError: it cannot be read, or is too large for a single image.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ImageError(path, f"has {size:,} bytes: too many for a single image")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(path, f"cannot be read: {error.strerror or error}") from error


def decode_picture(content: bytes, name: Path) -> Picture:
    """The same for the bytes of a file; ``name`` is what errors call it.

    Raises:
        ImageError: as :func:`read_picture`.
    """
    if not content:
        raise ImageError(name, "is empty")
    try:
        with warnings.catch_warnings():
            # Sizes are checked here, and remarks on odd metadata change no px.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                _check(image, name)
                return _upright(image, content, name)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            name,
            "is no PNG, JPEG, BMP, TIFF or WebP image, whatever its name ends in",
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, "more px than that") from error
    except Exception as error:  # Pillow meets damage with many kinds of error
        raise ImageError(name, f"is damaged: {_told(error)}; copy it again") from error


def _check(image: Image.Image, name: Path) -> None:
    width, height = image.size
    if width * height > MAX_IMAGE_PX:
        raise _too_large(name, f"{width:,} × {height:,} px")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a camera's preview beside the picture
        raise ImageError(name, f"holds {frames} pictures: save the one that is meant by itself")
    if image.mode in ("CMYK", "YCCK"):
        raise ImageError(
            name,
            "is in CMYK, the inks of a press, whose RGB depends on the press: save it as RGB",
        )
    if image.mode not in _PLAIN | _WIDE | {"YCbCr"}:
        raise ImageError(
            name, f"has px of the kind {image.mode}: save it as 8- or 16-bit grey or RGB"
        )


def _too_large(name: Path, has: str) -> ImageError:
    return ImageError(
        name,
        f"is too large for a single image, which has at most {MAX_IMAGE_PX:,} px; this one has "
        f"{has}: analyse it as a slide with wsi run, or cut it up",
    )


def _upright(image: Image.Image, content: bytes, name: Path) -> Picture:
    image.load()
    orientation = image.getexif().get(0x0112, 1)
    wide = _sixteen_bit(image, content)
    if wide is not None:
        pixels, told = _reduced(wide, name)
        # Pillow turns a picture by its note; the note is all that is taken from the first one.
        turned = Image.fromarray(pixels)
        turned.getexif()[0x0112] = orientation
        return Picture(np.asarray(ImageOps.exif_transpose(turned)), told)
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        upright = Image.alpha_composite(white, over)
    return Picture(np.asarray(upright.convert("RGB")))


def _sixteen_bit(image: Image.Image, content: bytes) -> NDArray[np.uint16] | None:
    """The px of a 16-bit image; None where it has fewer bits.

    Pillow keeps 16 bits of grey only, and silently drops eight of colour.
    """
    if image.format == "PNG":
        if content[24] != 16:  # PNG 1.2, 11.2.2: the bit depth of IHDR
            return None
        import imagecodecs  # noqa: PLC0415 - few images need it

        decoded = imagecodecs.png_decode(content)
    elif image.format == "TIFF" and 16 in _bits(image):
        import imagecodecs  # noqa: PLC0415 - tifffile decodes with it
        import tifffile  # noqa: PLC0415 - few images need it

        decoded = tifffile.imread(io.BytesIO(content), key=0)
        if image.tag_v2.get(262) == 0:  # type: ignore[attr-defined]  # of TIFF images only
            decoded = _SIXTEEN - decoded  # TIFF 6.0, PhotometricInterpretation: 0 is white
    else:
        return None
    return np.asarray(decoded, np.uint16)


def _bits(image: Image.Image) -> tuple[int, ...]:
    bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]  # of TIFF images only
    return bits if isinstance(bits, tuple) else (bits,)


def _reduced(values: NDArray[np.uint16], name: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """8-bit RGB of 16-bit grey or colour, with or without alpha."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4):
        raise ImageError(name, f"has an array of {values.shape} in it: save it as grey or RGB")
    colour = values[..., : values.shape[2] - (values.shape[2] in (2, 4))].astype(np.float64)
    if values.shape[2] in (2, 4):
        alpha = values[..., -1:] / _SIXTEEN
        colour = colour * alpha + _SIXTEEN * (1 - alpha)
    told: tuple[str, ...] = ()
    if colour.max(initial=0) <= _TWELVE:
        told = (
            f"no value is above {int(colour.max(initial=0)):,} of {_SIXTEEN:,}: if a camera of 10 "
            "or 12 bits wrote it, it is read too dark; save it with its full range",
        )
    rgb = np.rint(colour / 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(rgb, (*rgb.shape[:2], 3))), told


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
