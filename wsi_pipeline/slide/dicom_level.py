"""The JPEG frames of one DICOM file as the tiles of a level, decoded as they are told to be."""

import io
import itertools
import threading
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.slide import dicom
from wsi_pipeline.slide.jpeg_header import Encoding, JpegHeader, jpeg_size, read_jpeg_header
from wsi_pipeline.slide.segmented_level import MAX_SEGMENT_PX, SegmentedLevel
from wsi_pipeline.slide.tile_cache import TileCache

_CACHE_BYTES = 32 * 2**20


class DicomLevel(SegmentedLevel):
    """Frames of one file, each in one fragment as scanners write them.

    Memory bound: 32 MiB of decoded frames, plus what a call returns.

    Args:
        path: The file.
        pixels: What it says of its pixel data.
        header: Of its first frame.
        encoding: What the components are taken for.
    """

    def __init__(
        self, path: Path, pixels: dicom.JpegPixels, header: JpegHeader, encoding: Encoding
    ) -> None:
        super().__init__(path, pixels.size, Size(*header.size), TileCache(_CACHE_BYTES))
        self._pixel_data = pixels
        self._header = header
        self._encoding = encoding
        self._finding = threading.Lock()
        self._places: list[tuple[int, int]] | None = None

    @property
    def encoding(self) -> Encoding:
        """What the components are taken for."""
        return self._encoding

    @property
    def is_whole(self) -> bool:
        """Whether the frames are as many as the level has tiles, in their order."""
        rows = -(-self.size.height // self.segment.height)
        return self._pixel_data.full and len(self._all_places()) == self._columns * rows

    def header(self) -> JpegHeader:
        """Header of the first frame."""
        return self._header

    def components(self, segments: int) -> list[NDArray[np.uint8]]:
        """Components of the first frames as they are stored, not converted.

        Args:
            segments: At most so many frames: further ones would have to be looked for.

        Returns:
            Of each ``(height, width, 3)``; damaged ones are left out.
        """
        out: list[NDArray[np.uint8]] = []
        for place in itertools.islice(
            dicom.fragments(self._path, self._pixel_data.start), segments
        ):
            try:
                out.append(self._frame(place, "RGB"))
            except DamagedSlideError:
                continue
        return out

    def read_as(self, encoding: Encoding) -> "DicomLevel":
        """The same level with its components taken for something else."""
        return DicomLevel(self._path, self._pixel_data, self._header, encoding)

    def _is_absent(self, index: int) -> bool:  # noqa: ARG002 - none is left out
        return False

    def _decode(self, index: int) -> NDArray[np.uint8]:
        return self._frame(self._all_places()[index], self._encoding)

    def _all_places(self) -> list[tuple[int, int]]:
        with self._finding:
            if self._places is None:
                self._places = list(dicom.fragments(self._path, self._pixel_data.start))
            return self._places

    def _frame(self, place: tuple[int, int], encoding: Encoding) -> NDArray[np.uint8]:
        start, length = place
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read(length)
        self._count(len(data))
        # Before decoding: a frame that claims 65,535 px a side would take 12 GB of memory.
        if jpeg_size(data) != self._header.size:
            raise DamagedSlideError(self._path, "a frame has another size than the first one")
        try:
            pixels: NDArray[np.uint8] = imagecodecs.jpeg8_decode(
                data, colorspace=encoding, outcolorspace="RGB"
            )
        except Exception as error:  # the codec has errors of its own
            raise DamagedSlideError(self._path, f"cannot decode a frame: {error}") from error
        return pixels


def open_dicom_level(path: Path) -> DicomLevel | None:
    """The level a file holds; None where its pixels are no JPEG in RGB or YCbCr."""
    pixels = dicom.jpeg_pixels(path)
    if pixels is None:
        return None
    try:
        place = next(dicom.fragments(path, pixels.start), None)
    except DamagedSlideError:
        return None  # checking the slide will say so
    if place is None:
        return None
    with path.open("rb") as file:
        file.seek(place[0])
        header = read_jpeg_header(io.BytesIO(file.read(place[1])))
    if header is None or len(header.ids) != 3:
        return None
    if header.size[0] * header.size[1] > MAX_SEGMENT_PX:
        return None
    return DicomLevel(path, pixels, header, pixels.encoding)
