"""The interface every source of slide pixels meets; `testing.slides` ships a fake of it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region, Size
from wsi_pipeline.slide.info import SlideInfo

WHITE = 255


class SlideReader(Protocol):
    """Random access to the pixels of one slide; every method may be called from any thread."""

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        ...

    @property
    def bytes_read(self) -> int:
        """Compressed bytes fetched so far, as far as the reader can tell."""
        ...

    def path_of(self, level: int) -> str:
        """How pixels of ``level`` are decoded.

        ``"openslide"``, ``"tiles"``, ``"tiff"``,
        ``"picture"`` (PNG, JPEG) or ``"computed"`` (a mean of a finer level).
        """
        ...

    def segment_of(self, level: int) -> Size | None:
        """Width and height of what is decoded together of ``level``, in its px.

        Segments begin at the corner of the level. Regions along their edges can be read one by one
        and give the pixels that a larger region gives. None where that is not known.
        """
        ...

    def read(self, region: Region) -> NDArray[np.uint8]:
        """Pixels of a region, shape ``(height, width, 3)``, RGB.

        Whatever lies outside the level or was not scanned is white (255).

        Args:
            region: In px of its level; may reach over any edge.

        Raises:
            DamagedSlideError: a needed part of the file cannot be decoded.
        """
        ...

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Pixels as :meth:`read` gives them, and where the scanner looked.

        Returns:
            RGB of shape ``(height, width, 3)``; scanned, ``(height, width)``: False where the
            file is transparent or has no pixel.
        """
        ...

    def close(self) -> None:
        """Free the handle. No other call may be running or follow."""
        ...


def over_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Px of straight (not premultiplied) colour laid over white.

    Args:
        rgb: ``(height, width, 3)``.
        alpha: Opacity, ``(height, width)``.
    """
    weight = alpha[..., None].astype(np.uint16)
    mixed = (rgb * weight + WHITE * (WHITE - weight) + WHITE // 2) // WHITE
    return mixed.astype(np.uint8)
