"""The interface every source of slide pixels meets; `testing.slides` ships a fake of it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region
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
        """How pixels of ``level`` are decoded: ``"openslide"``, ``"tiles"`` or ``"tiff"``."""
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
