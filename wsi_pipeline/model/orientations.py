"""A model asked eight times of each patch, turned and mirrored, and how far its answers differ.

Tissue has no up and no left: an answer that depends on them is one to be doubted. The mean of the
eight is usually a little better than one of them; their spread says how much to trust it.
"""

import functools
import math
import threading
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Classes
from wsi_pipeline.model.predictor import Predictor, RuntimeInfo

#: Of a square: four turns, each as it is and mirrored.
ORIENTATIONS = 8
_Answers = NDArray[np.float32]


def oriented(patches: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Square patches ``(…, side, side, 3)`` in one of eight orientations; 0 leaves them.

    Turned by quarters, then mirrored.
    """
    turned = np.rot90(patches, orientation % 4, axes=(-3, -2))
    return turned[..., ::-1, :] if orientation >= 4 else turned


def turned_back(maps: _Answers, orientation: int) -> _Answers:
    """Maps ``(…, rows, columns)`` of oriented patches, as of the patches themselves."""
    mirrored = maps[..., ::-1] if orientation >= 4 else maps
    return np.rot90(mirrored, -(orientation % 4), axes=(-2, -1))


class OrientedPredictor:
    """A :class:`~wsi_pipeline.model.predictor.Predictor` that answers with means over orientations.

    Answers are those of the predictor and, but for maps, one more column at the end: the spread,
    the standard deviation over the orientations of a binary model's probability, else of the class
    that is most likely on the mean. Features are those of the patch as it is.

    Args:
        predictor: Answers once; closed with this.
        classes: What it answers for.
        maps: Whether it answers with maps, which are turned back before they are averaged.
    """

    def __init__(self, predictor: Predictor, classes: Classes, *, maps: bool = False) -> None:
        self._predictor = predictor
        self._classes = classes
        self._maps = maps

    @property
    def batch_size(self) -> int:
        """See :attr:`Predictor.batch_size`."""
        return self._predictor.batch_size

    @property
    def patch_px(self) -> int:
        """See :attr:`Predictor.patch_px`."""
        return self._predictor.patch_px

    @property
    def info(self) -> RuntimeInfo:
        """See :attr:`Predictor.info`."""
        return self._predictor.info

    @property
    def feature_count(self) -> int:
        """See :attr:`Predictor.feature_count`."""
        return self._predictor.feature_count

    def submit(self, patches: NDArray[np.uint8]) -> "Future[_Answers]":
        """See :meth:`Predictor.submit`: a batch for each orientation, one after another."""
        done: Future[_Answers] = Future()
        lock, parts = threading.Lock(), dict[int, _Answers]()

        def taken(orientation: int, answer: "Future[_Answers]") -> None:
            error = answer.exception()
            with lock:
                if error is None:
                    parts[orientation] = answer.result()
                elif not done.done():
                    done.set_exception(error)
                complete = len(parts) == ORIENTATIONS
            if complete:
                try:
                    done.set_result(self._joined([parts[k] for k in range(ORIENTATIONS)]))
                except Exception as failure:  # whoever waits for the future must learn of it
                    done.set_exception(failure)

        for orientation in range(ORIENTATIONS):
            given = np.ascontiguousarray(oriented(patches, orientation))
            answer = self._predictor.submit(given)
            answer.add_done_callback(functools.partial(taken, orientation))
        return done

    def each(self, patches: NDArray[np.uint8]) -> list[_Answers]:
        """See :meth:`Predictor.each`: its parts answer as one."""
        return [self.submit(patches).result()]

    def close(self) -> None:
        """See :meth:`Predictor.close`."""
        self._predictor.close()

    def _joined(self, parts: list[_Answers]) -> _Answers:
        """One answer of those of all orientations, always in the same order."""
        if self._maps:
            back = [turned_back(part, orientation) for orientation, part in enumerate(parts)]
            return np.asarray(np.stack(back).mean(axis=0, dtype=np.float64), np.float32)
        first = parts[0].reshape(len(parts[0]), -1)
        planes = math.prod(self._classes.shape)
        each = np.stack([part.reshape(len(part), -1)[:, :planes] for part in parts])
        mean = each.mean(axis=0, dtype=np.float64)
        likely = mean.argmax(axis=1)
        spread = each[:, np.arange(len(mean)), likely].std(axis=0, dtype=np.float64)
        columns = [mean, first[:, planes:], spread[:, None]]
        return np.concatenate(columns, axis=1).astype(np.float32)
