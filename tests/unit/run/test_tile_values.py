"""What is kept of a region's answers, put together from many batches."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.run.tile_values import AnswerCollector, TileValues


@dataclass(frozen=True, slots=True)
class Sums:
    """A :class:`~wsi_pipeline.run.tile_values.TileExtra` that counts how it is asked."""

    asked: list[int] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return ("sum",)

    def compute(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked.append(len(answers))
        sums: NDArray[np.float32] = answers.sum(axis=1, keepdims=True)
        return sums


@pytest.mark.parametrize(("features", "parts"), [(2, [20]), (9_999, [28, 28, 24]), (99_999, [4])])
def test_batches_are_taken_apart_many_at_a_time(features: int, parts: list[int]) -> None:
    """As many as have 1 MiB of answers, whatever the number of tiles."""
    rng, extra = np.random.default_rng(1), Sums()
    tiles = sum(parts)
    answers = rng.random((tiles, 1 + features)).astype(np.float32)
    collector = AnswerCollector(TileValues(extras=(extra,), features=2))
    for start in range(0, tiles, 4):
        collector.add(answers[start : start + 4])
    values = collector.values()
    assert extra.asked == parts
    assert np.array_equal(values.probabilities, answers[:, 0])
    assert np.array_equal(values.features, answers[:, 1:3])
    assert np.array_equal(values.extras, answers.sum(axis=1, keepdims=True))
