"""A bounded set of threads, each with an inference request of its own; runtimes are made of it."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.predictor import PredictorBase, RuntimeInfo
from wsi_pipeline.model.preprocessing import Preparer

Slot = TypeVar("Slot")


class InferencePool(Generic[Slot]):
    """Runs batches on whichever slot is free; :meth:`submit` waits while none is.

    Args:
        slots: One object per batch in flight; each is used by one thread at a time.
        run: Computes a batch on a slot: ``(batch, input, input, 3)`` in, ``(batch,)`` or
            ``(batch, classes)`` out.
        batch_size: What short batches are padded to, so that every batch has one shape.
        prepare: Makes what the network is given of the patches of a batch.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        run: Callable[[Slot, NDArray[np.uint8]], NDArray[np.float32]],
        batch_size: int,
        prepare: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda patches: patches,
    ) -> None:
        self._free, self._slots = list(slots), len(slots)
        self._prepare = prepare
        self._run = run
        self._batch_size = batch_size
        self._vacancy = threading.Semaphore(len(slots))
        self._lock, self._taking_all = threading.Lock(), threading.Lock()
        self._threads = ThreadPoolExecutor(len(slots), thread_name_prefix="predict")

    def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
        """See :meth:`Predictor.submit`."""
        if not 1 <= len(patches) <= self._batch_size:
            raise ValueError(f"a batch has 1 to {self._batch_size} patches, not {len(patches)}")
        self._vacancy.acquire()
        try:
            return self._threads.submit(self._compute, patches)
        except BaseException:
            self._vacancy.release()
            raise

    def each(self, patches: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """See :meth:`Predictor.each`: on every slot, each on a thread of its own."""
        # None leaves before all have a slot: so each has another.
        together = threading.Barrier(self._slots)
        with self._taking_all:
            for _ in range(self._slots):
                self._vacancy.acquire()
            futures = [
                self._threads.submit(self._compute, patches, together.wait)
                for _ in range(self._slots)
            ]
        return [future.result() for future in futures]

    def close(self) -> None:
        """Wait for what runs and drop the slots."""
        self._threads.shutdown(wait=True)
        self._free.clear()

    def _compute(
        self, patches: NDArray[np.uint8], begin: Callable[[], object] = lambda: None
    ) -> NDArray[np.float32]:
        with self._lock:
            slot = self._free.pop()
        try:
            begin()
            count = len(patches)
            patches = self._prepare(patches)
            if count < self._batch_size:
                padded = np.zeros((self._batch_size, *patches.shape[1:]), np.uint8)
                padded[:count] = patches
                patches = padded
            return self._run(slot, patches)[:count].copy()
        finally:
            with self._lock:
                self._free.append(slot)
            self._vacancy.release()


class SlotPredictor(PredictorBase, Generic[Slot]):
    """A :class:`~wsi_pipeline.model.predictor.Predictor` whose batches run on slots.

    Args:
        slots: One object per batch in flight.
        run: Computes a batch on a slot; see :class:`InferencePool`.
        batch_size: Patches per batch.
        prepare: Makes what the network is given of the patches of a batch.
        info: What computes.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        run: Callable[[Slot, NDArray[np.uint8]], NDArray[np.float32]],
        *,
        batch_size: int,
        prepare: Preparer,
        info: RuntimeInfo,
    ) -> None:
        super().__init__(batch_size, prepare.patch_px, info)
        self._pool = InferencePool(slots, run, batch_size, prepare)

    def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
        """See :meth:`Predictor.submit`."""
        return self._pool.submit(patches)

    def each(self, patches: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """See :meth:`Predictor.each`."""
        return self._pool.each(patches)

    def close(self) -> None:
        """Wait for what runs and free the model."""
        self._pool.close()
