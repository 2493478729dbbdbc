"""A fast model whose doubtful answers are asked again of more precise ones.

Lower precision moves a probability by little, so only decisions that are narrow can change: near
the threshold, or between two classes that are almost equally likely. Each stage re-computes the
patches its predecessor put within a band there; the rest keep the cheap answer. A batch's outcome
depends on its own patches alone.
"""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Classes, class_columns, margin
from wsi_pipeline.model.predictor import Predictor, RuntimeInfo


@dataclass(frozen=True, slots=True)
class Stage:
    """One model of a cascade.

    Attributes:
        predictor: Computes the patches that reach this stage.
        band: Patches whose :func:`~wsi_pipeline.classes.margin` is at most this go on to the next
            stage; not used in the last one. In logits, because there the error of a lower
            precision is about the same everywhere, while near 0 and 1 the sigmoid hides it.
    """

    predictor: Predictor
    band: float


class CascadePredictor:
    """A :class:`~wsi_pipeline.model.predictor.Predictor` made of stages, fastest first.

    Args:
        stages: At least two.
        classes: What the model answers for.
        threshold: The decision that has to agree with the last stage's.
    """

    def __init__(self, stages: Sequence[Stage], classes: Classes, threshold: float) -> None:
        self._stages = tuple(stages)
        self._classes = classes
        self._threshold = threshold
        self._lock = threading.Lock()
        self._asked_again = [0] * (len(self._stages) - 1)
        first, *_, last = (stage.predictor.info for stage in self._stages)
        precisions = ">".join(stage.predictor.info.precision for stage in self._stages)
        self._info = RuntimeInfo(last.runtime, first.device, precisions, first.features)

    @property
    def batch_size(self) -> int:
        """Patches per batch of the first stage."""
        return self._stages[0].predictor.batch_size

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        return self._stages[0].predictor.patch_px

    @property
    def info(self) -> RuntimeInfo:
        """What computes."""
        return self._info

    @property
    def feature_count(self) -> int:
        """How many features follow the classes, all of the first stage."""
        return self._info.features

    @property
    def asked_again(self) -> tuple[int, ...]:
        """How many patches each stage passed on so far."""
        return tuple(self._asked_again)

    def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
        """See :meth:`Predictor.submit`."""
        done: Future[NDArray[np.float32]] = Future()
        self._ask(0, patches, done)
        return done

    def each(self, patches: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """See :meth:`Predictor.each`: its parts answer as one."""
        return [self.submit(patches).result()]

    def close(self) -> None:
        """Close every stage."""
        for stage in self._stages:
            stage.predictor.close()

    def _ask(
        self, index: int, patches: NDArray[np.uint8], done: "Future[NDArray[np.float32]]"
    ) -> None:
        """Compute at most one batch at a stage and, where in doubt, at the next ones."""
        stage = self._stages[index]

        def settle(computed: "Future[NDArray[np.float32]]") -> None:
            # Runs on the stage's own threads. Waiting for room in the next stage holds this one
            # back, which is the back-pressure wanted; the last stage waits for nobody.
            try:
                values = computed.result().copy()
                doubtful = self._doubtful(index, values)
                if len(doubtful) == 0:
                    done.set_result(values)
                else:
                    self._ask_again(index + 1, patches, values, doubtful, done)
            except Exception as error:  # whoever waits for the future must learn of it
                done.set_exception(error)

        stage.predictor.submit(patches).add_done_callback(settle)

    def _doubtful(self, index: int, values: NDArray[np.float32]) -> NDArray[np.int64]:
        if index == len(self._stages) - 1:
            return np.empty(0, np.int64)
        distance = margin(self._classes, self._of_classes(values), self._threshold)
        doubtful = np.flatnonzero(distance <= self._stages[index].band)
        with self._lock:
            self._asked_again[index] += len(doubtful)
        return doubtful

    def _of_classes(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The part of answers that is of the classes; a view."""
        shape = self._classes.shape
        return values if values.shape[1:] == shape else class_columns(values, shape)

    def _replace(
        self, values: NDArray[np.float32], group: NDArray[np.int64], better: NDArray[np.float32]
    ) -> None:
        """All but the features, which stay the first stage's, so that all are of one precision."""
        if self.feature_count:
            planes = math.prod(self._classes.shape)
            features = slice(planes, planes + self.feature_count)
            better = better.copy()
            better[:, features] = values[group, features]
        values[group] = better

    def _ask_again(
        self,
        index: int,
        patches: NDArray[np.uint8],
        values: NDArray[np.float32],
        doubtful: NDArray[np.int64],
        done: "Future[NDArray[np.float32]]",
    ) -> None:
        """Replace the doubtful values by the stage's, then finish the batch."""
        step = self._stages[index].predictor.batch_size
        groups = [doubtful[i : i + step] for i in range(0, len(doubtful), step)]
        lock, left = threading.Lock(), [len(groups)]

        def replace(group: NDArray[np.int64], better: "Future[NDArray[np.float32]]") -> None:
            error = better.exception()
            with lock:
                if error is None:
                    self._replace(values, group, better.result())
                left[0] -= 1
                last = left[0] == 0
            if error is not None:
                with lock:
                    if not done.done():
                        done.set_exception(error)
            elif last and not done.done():
                done.set_result(values)

        for group in groups:
            better: Future[NDArray[np.float32]] = Future()
            better.add_done_callback(lambda f, group=group: replace(group, f))  # type: ignore[misc]  # mypy infers no type for a lambda's default
            self._ask(index, patches[group], better)
