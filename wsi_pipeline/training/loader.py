"""Reads batches ahead on threads, in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.orientations import oriented
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.sampling import Epoch

Room = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""Memory for a shape, not written yet."""

#: Batches read ahead of the one that is computed.
_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """Some patches of an epoch.

    Attributes:
        places: Which of the epoch, ``(n,)``.
        patches: ``(n, patch, patch, 3)`` RGB, moved and turned, not recoloured.
    """

    places: NDArray[np.int64]
    patches: NDArray[np.uint8]


class Loader:
    """Threads that read patches; keep one for a whole run.

    Memory: :data:`_AHEAD` + 1 batches.

    Args:
        threads: How many.
        room: Gives the memory of a batch of a shape; see
            :func:`~wsi_pipeline.training.device.room_on`.
    """

    def __init__(self, threads: int, room: Room | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="patches")
        self._room = room or (lambda shape: np.empty(shape, np.uint8))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def batches(
        self, source: PatchSource, epoch: Epoch, groups: list[NDArray[np.int64]]
    ) -> Iterator[Batch]:
        """The batches made of groups of places of an epoch, in order.

        Raises:
            SlideError: a patch cannot be read.
        """
        waiting: deque[tuple[Batch, list[Future[None]]]] = deque()
        upcoming = iter(groups)
        try:
            while True:
                while len(waiting) <= _AHEAD and (places := next(upcoming, None)) is not None:
                    waiting.append(self._begun(source, epoch, places))
                if not waiting:
                    return
                batch, futures = waiting.popleft()
                for future in futures:
                    future.result()
                yield batch
        finally:
            for _, futures in waiting:
                for future in futures:
                    future.cancel()

    def _begun(
        self, source: PatchSource, epoch: Epoch, places: NDArray[np.int64]
    ) -> tuple[Batch, list[Future[None]]]:
        """A batch whose px are still to come, and what to wait for."""
        side = source.patch_px
        batch = Batch(places, self._room((len(places), side, side, 3)))
        return batch, [
            self._pool.submit(_read, source, epoch, int(place), batch.patches[row])
            for row, place in enumerate(places)
        ]


def _read(source: PatchSource, epoch: Epoch, place: int, out: NDArray[np.uint8]) -> None:
    dx, dy = (int(value) for value in epoch.offsets[place])
    patch = source.read(int(epoch.items[place]), dx, dy)
    out[:] = oriented(patch, int(epoch.orientations[place]))
