"""Patches that were read to settle their tissue, kept for the model, which looks at them next."""

import threading

import numpy as np
from numpy.typing import NDArray

#: Bytes of px that are kept of a slide: some hundred patches.
CAPACITY = 32 * 2**20


class KeptPatches:
    """Patches by cell, each given away once. Safe to share between threads.

    Memory: up to ``capacity``; what comes later is not kept.

    Args:
        capacity: Bytes.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._free = capacity
        self._patches: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    def keep(self, column: int, row: int, patch: NDArray[np.uint8]) -> None:
        """Keep the patch of a cell, as it was read, while there is room."""
        with self._lock:
            if patch.nbytes <= self._free:
                self._free -= patch.nbytes
                self._patches[column, row] = patch

    def take(self, column: int, row: int) -> NDArray[np.uint8] | None:
        """The patch of a cell, which is not kept any longer; None where it was not."""
        if not self._patches:
            return None
        with self._lock:
            patch = self._patches.pop((column, row), None)
            if patch is not None:
                self._free += patch.nbytes
            return patch
