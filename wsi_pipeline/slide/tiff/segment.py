"""One compressed tile or strip of a TIFF directory as px, never more of them than it may hold."""

from collections.abc import Callable

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.geometry import Size
from wsi_pipeline.slide.image_header import jpeg_2000_size, jpeg_size
from wsi_pipeline.slide.reader import WHITE, over_white

_JPEG = 7
#: Aperio's two kinds of JPEG 2000, the registered number, and what Leica's old software writes.
_JPEG_2000_YCBCR = 33003
_JPEG_2000 = frozenset({_JPEG_2000_YCBCR, 33004, 33005, 34712})
#: Codecs that state a size of their own, and refuse another one before they decode.
_SIZED: dict[int, Callable[..., NDArray[np.uint8]]] = {
    34927: imagecodecs.webp_decode,
    50001: imagecodecs.webp_decode,
    50002: imagecodecs.jpegxl_decode,
    52546: imagecodecs.jpegxl_decode,
    34933: imagecodecs.png_decode,
    22610: imagecodecs.jpegxr_decode,
    34934: imagecodecs.jpegxr_decode,
}
#: None, LZW, deflate (two numbers), PackBits, LZMA, Zstandard (two numbers).
_BYTES = frozenset({1, 5, 8, 32946, 32773, 34925, 34926, 50000})
#: Every compression that is read.
COMPRESSIONS = frozenset({_JPEG}) | _JPEG_2000 | _BYTES | _SIZED.keys()
_PALETTE, _YCBCR = 3, 6
_ASSOCIATED, _UNASSOCIATED = 1, 2


class SegmentDecoder:
    """Decodes the segments of one TIFF directory.

    Args:
        page: The directory, of a compression in :data:`COMPRESSIONS` and of 8 bits a sample.
    """

    def __init__(self, page: tifffile.TiffPage) -> None:
        self._page = page
        self._compression = int(page.compression)
        self._samples = page.samplesperpixel if page.planarconfig == 1 else 1
        self._tables = page.jpegtables
        self._palette = _palette(page)

    def decode(self, data: bytes, index: int, size: Size) -> NDArray[np.uint8]:
        """Px of a segment as they are stored, ``(height, width, samples)``.

        Palette indices become RGB, YCbCr becomes RGB where the compression is an image format.

        Args:
            data: The compressed bytes.
            index: Of the segment in the directory.
            size: What it must decode to, in px; a tile at the edge may come without its padding.

        Raises:
            Exception: it cannot be decoded, or not to that size; every codec has its own errors.
        """
        pixels = self._decoded(data, index, size)
        return self.coloured(pixels.reshape((-1, *pixels.shape[-2:])))

    def coloured(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored px, ``(height, width, samples)``, with palette indices replaced by RGB."""
        return pixels if self._palette is None else self._palette[pixels[..., 0]]

    def _decoded(self, data: bytes, index: int, size: Size) -> NDArray[np.uint8]:
        shape = (size.height, size.width, self._samples)
        if self._compression == _JPEG:
            # Before decoding: a tile that claims 65,535 px a side would take 12 GB of memory.
            _expect("JPEG", jpeg_size(data), size)
            return _expect_shape(np.atleast_3d(self._jpeg(data)), shape)
        if self._compression in _JPEG_2000:
            _expect("JPEG 2000", jpeg_2000_size(data), size)
            pixels = _expect_shape(np.atleast_3d(imagecodecs.jpeg2k_decode(data)), shape)
            ycbcr = self._compression == _JPEG_2000_YCBCR or self._page.photometric == _YCBCR
            return _rgb_of_ycbcr(pixels) if ycbcr and self._samples == 3 else pixels
        if self._compression in _SIZED:
            out = np.empty(shape if self._samples > 1 else shape[:2], np.uint8)
            decoded = _SIZED[self._compression](data, **self._webp_alpha(), out=out)
            return decoded.reshape(shape)
        return np.asarray(self._page.decode(data, index)[0])

    def _jpeg(self, data: bytes) -> NDArray[np.uint8]:
        if self._samples == 1:
            plane: NDArray[np.uint8] = imagecodecs.jpeg8_decode(data, tables=self._tables)
            return plane
        space = "YCBCR" if self._page.photometric == _YCBCR else "RGB"
        decoded: NDArray[np.uint8] = imagecodecs.jpeg8_decode(
            data, tables=self._tables, colorspace=space, outcolorspace="RGB"
        )
        return decoded

    def _webp_alpha(self) -> dict[str, bool]:
        # WebP leaves out the opacity of what is opaque.
        webp = _SIZED[self._compression] is imagecodecs.webp_decode
        return {"hasalpha": True} if webp and self._samples == 4 else {}


def has_opacity(page: tifffile.TiffPage) -> bool:
    """Whether a directory's fourth sample says how opaque its px are (TIFF 6.0, section 18)."""
    extra = page.extrasamples
    return (
        page.samplesperpixel == 4 and len(extra) == 1 and extra[0] in (_ASSOCIATED, _UNASSOCIATED)
    )


def with_opacity(page: tifffile.TiffPage, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB over white and opacity, ``(height, width, 4)``, of stored RGBA.

    Args:
        page: The directory; it says whether colours are premultiplied.
        pixels: ``(height, width, 4)``.
    """
    rgb, alpha = pixels[..., :3], pixels[..., 3]
    if page.extrasamples[0] == _ASSOCIATED:
        # Premultiplied: what lacks to white is added; bounded, for files that break the rule.
        laid = np.minimum(rgb.astype(np.uint16) + (WHITE - alpha)[..., None], WHITE)
    else:
        laid = over_white(rgb, alpha)
    return np.dstack([laid.astype(np.uint8), alpha])


def _palette(page: tifffile.TiffPage) -> NDArray[np.uint8] | None:
    """RGB of each index, ``(256, 3)``: TIFF keeps 16 bits, of which the upper 8 are the colour."""
    if page.photometric != _PALETTE:
        return None
    return np.ascontiguousarray((np.asarray(page.colormap) >> 8).astype(np.uint8).T)


def _expect(kind: str, stated: tuple[int, int] | None, size: Size) -> None:
    if stated != (size.width, size.height):
        raise ValueError(f"its {kind} frame is not {size.width} × {size.height} px")


def _expect_shape(pixels: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    if pixels.shape != shape:
        raise ValueError(f"it decodes to an array of shape {pixels.shape}")
    return pixels


def _rgb_of_ycbcr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of full-range YCbCr (ITU-R BT.601, as JFIF has it)."""
    return np.asarray(Image.fromarray(pixels, mode="YCbCr").convert("RGB"))
