"""Patches that were read to settle their tissue, kept for the model, which looks at them next."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region
from wsi_pipeline.slide.reader import SlideReader

#: Bytes of px that are kept of a slide: some hundred patches.
CAPACITY = 32 * 2**20


@dataclass(frozen=True, slots=True)
class KeptPatch:
    """A patch as far as it was read.

    Attributes:
        px: ``(patch, patch, 3)`` RGB.
        corner: Column and row of its first px in the level; only where parts are missing.
        missing: Parts of the level that were not read.
    """

    px: NDArray[np.uint8]
    corner: tuple[int, int] = (0, 0)
    missing: tuple[Region, ...] = ()

    def completed(self, reader: SlideReader) -> NDArray[np.uint8]:
        """The whole patch; what was not read is read now.

        Raises:
            DamagedSlideError: it cannot be decoded.
        """
        for part in self.missing:
            self.fill(part, reader.read(part))
        return self.px

    def fill(self, part: Region, px: NDArray[np.uint8]) -> None:
        """Take over the px of a part."""
        x, y = part.x - self.corner[0], part.y - self.corner[1]
        self.px[y : y + part.height, x : x + part.width] = px


class KeptPatches:
    """Patches by cell, each given away once. Safe to share between threads.

    Memory: up to ``capacity``; what comes later is not kept.

    Args:
        capacity: Bytes.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._free = capacity
        self._patches: dict[tuple[int, int], KeptPatch] = {}
        self._lock = threading.Lock()

    def keep(self, column: int, row: int, patch: KeptPatch) -> None:
        """Keep the patch of a cell, while there is room."""
        with self._lock:
            if patch.px.nbytes <= self._free:
                self._free -= patch.px.nbytes
                self._patches[column, row] = patch

    def take(self, column: int, row: int) -> KeptPatch | None:
        """The patch of a cell, which is not kept any longer; None where it was not."""
        if not self._patches:
            return None
        with self._lock:
            patch = self._patches.pop((column, row), None)
            if patch is not None:
                self._free += patch.px.nbytes
            return patch
