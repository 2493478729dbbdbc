"""Batches come in order and with the same px, however many threads read them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.model.orientations import oriented
from wsi_pipeline.training.loader import Loader
from wsi_pipeline.training.sampling import draw_epoch, plain


def groups(count: int, size: int) -> list[NDArray[np.int64]]:
    return [np.arange(i, min(i + size, count)) for i in range(0, count, size)]


def test_threads_change_nothing(train_source: Any, small: Any) -> None:
    epoch = draw_epoch(train_source, small(), seed=1, epoch=0)
    found = []
    for threads in (1, 5):
        with Loader(threads) as loader:
            batches = list(loader.batches(train_source, epoch, groups(len(epoch), 8)))
        assert np.array_equal(np.concatenate([b.places for b in batches]), np.arange(len(epoch)))
        found.append(np.concatenate([b.patches for b in batches]))
    assert np.array_equal(found[0], found[1])
    assert found[0].flags.c_contiguous


def test_a_patch_is_moved_and_turned_as_drawn(train_source: Any, small: Any) -> None:
    epoch = draw_epoch(train_source, small(), seed=1, epoch=0)
    with Loader(2) as loader:
        (batch,) = loader.batches(train_source, epoch, [np.array([5])])
    dx, dy = (int(value) for value in epoch.offsets[5])
    expected = oriented(train_source.read(int(epoch.items[5]), dx, dy), int(epoch.orientations[5]))
    assert np.array_equal(batch.patches[0], expected)


def test_there_are_eight_orientations() -> None:
    patch = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    seen = {oriented(patch, index).tobytes() for index in range(8)}
    assert len(seen) == 8
    assert np.array_equal(oriented(patch, 0), patch)


def test_what_cannot_be_read_reaches_the_caller(train_source: Any) -> None:
    class Damaged:
        def __getattr__(self, name: str) -> Any:
            return getattr(train_source, name)

        def read(self, index: int, dx: int = 0, dy: int = 0) -> NDArray[np.uint8]:
            if index == 13:
                raise DamagedSlideError("slide.tiff", "cannot decode")
            patch: NDArray[np.uint8] = train_source.read(index, dx, dy)
            return patch

    with Loader(2) as loader:
        epoch = plain(np.arange(40))
        with pytest.raises(DamagedSlideError, match=r"slide\.tiff: cannot decode"):
            list(loader.batches(Damaged(), epoch, groups(40, 8)))
