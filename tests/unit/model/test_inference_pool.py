"""Slots: one thread at a time on each, one shape for all batches, and no lost errors."""

import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDoneError

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.model.inference_pool import InferencePool


def batch(*values: int) -> NDArray[np.uint8]:
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1)


def first(_: object, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    return patches[:, 0, 0, 0].astype(np.float32)


def test_short_batches_are_padded_and_cut_again() -> None:
    shapes: list[tuple[int, ...]] = []

    def run(_: object, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        shapes.append(patches.shape)
        return first(_, patches)

    pool = InferencePool([None], run, 4)
    assert pool.submit(batch(3, 5)).result().tolist() == [3, 5]
    assert pool.submit(batch(1, 2, 3, 4)).result().tolist() == [1, 2, 3, 4]
    assert set(shapes) == {(4, 1, 1, 1)}
    pool.close()


@pytest.mark.parametrize("count", [0, 5])
def test_a_batch_of_the_wrong_size_is_refused_and_blocks_nobody(count: int) -> None:
    pool = InferencePool([None], first, 4)
    for _ in range(3):
        with pytest.raises(ValueError, match="1 to 4 patches"):
            pool.submit(batch(*range(count)))
    assert pool.submit(batch(9)).result(10).tolist() == [9]
    pool.close()


def test_a_slot_is_used_by_one_thread_at_a_time() -> None:
    busy = {0: threading.Lock(), 1: threading.Lock()}

    def run(slot: int, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert busy[slot].acquire(blocking=False), "two threads on one slot"
        threading.Event().wait(0.002)
        busy[slot].release()
        return first(slot, patches)

    pool = InferencePool([0, 1], run, 1)
    with ThreadPoolExecutor(8) as callers:
        futures = list(callers.map(lambda value: pool.submit(batch(value)), range(60)))
    assert [int(future.result()[0]) for future in futures] == list(range(60))
    pool.close()


def test_a_caller_waits_while_every_slot_is_busy() -> None:
    go_on = threading.Event()

    def run(_: object, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        go_on.wait(10)
        return first(_, patches)

    pool = InferencePool([None], run, 1)
    pool.submit(batch(1))
    with ThreadPoolExecutor(1) as caller:
        second = caller.submit(pool.submit, batch(2))
        with pytest.raises(NotDoneError):
            second.result(0.1)
        go_on.set()
        assert second.result(10).result(10).tolist() == [2]
    pool.close()


def test_a_failure_reaches_its_own_caller_and_frees_the_slot() -> None:
    def run(_: object, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        if patches[0, 0, 0, 0] == 13:
            raise RuntimeError("out of memory")
        return first(_, patches)

    pool = InferencePool([None], run, 1)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="out of memory"):
            pool.submit(batch(13)).result(10)
    assert pool.submit(batch(4)).result(10).tolist() == [4]
    pool.close()


def test_results_are_not_overwritten_by_later_batches() -> None:
    shared = np.zeros(2, np.float32)

    def run(_: object, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        shared[:] = first(_, patches)
        return shared

    pool = InferencePool([None], run, 2)
    one = pool.submit(batch(1, 2)).result()
    pool.submit(batch(7, 8)).result()
    assert one.tolist() == [1, 2]
    pool.close()


def test_each_slot_answers_on_a_thread_of_its_own() -> None:
    """Also while other batches wait, and where two callers ask at once."""
    seen: set[tuple[int, int]] = set()

    def run(slot: int, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.add((slot, threading.get_ident()))
        return first(slot, patches) + 100 * slot

    pool = InferencePool([0, 1, 2], run, 4)
    with ThreadPoolExecutor(4) as callers:
        asked = [callers.submit(pool.each, batch(7, 8)) for _ in range(2)]
        others = [callers.submit(lambda: pool.submit(batch(9)).result(10)) for _ in range(20)]
        answers = [[part.tolist() for part in one.result(10)] for one in asked]
        assert all(other.result(10)[0] % 100 == 9 for other in others)
    assert [sorted(one) for one in answers] == [[[7, 8], [107, 108], [207, 208]]] * 2
    assert {slot for slot, _ in seen} == {0, 1, 2}
    assert len({thread for _, thread in seen}) == 3
    pool.close()
