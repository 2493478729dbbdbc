"""The interface of every runtime: uint8 patches in, probabilities out."""

from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

#: What a runtime answers with: the classes; pooled features, the input of the network's last layer;
#: or both, the classes first.
Head = Literal["classes", "features", "both"]


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What computed the probabilities: part of a result's provenance.

    Attributes:
        runtime: Library and version, e.g. ``openvino 2026.4.1``.
        device: ``cpu`` or ``cuda:0`` with the hardware's name.
        precision: ``fp32``, ``bf16``, … or the stages of a cascade, ``int8>bf16>fp32``.
        features: How many features each patch is answered with; 0 of classes alone.
    """

    runtime: str
    device: str
    precision: str
    features: int = 0

    @property
    def kind(self) -> str:
        """What results have to share to be interchangeable: not the hardware's name."""
        return f"{self.runtime.split()[0]}/{self.device.split(':')[0].split()[0]}/{self.precision}"

    def to_json(self) -> dict[str, str]:
        """Plain values for JSON: what identifies the computing."""
        facts = asdict(self)
        del facts["features"]
        return facts


class Predictor(Protocol):
    """A loaded model. Safe to share between threads.

    A patch's probability does not depend on the batch it shares: batches shorter than
    ``batch_size`` are padded to it, and callers cut batches by plan index.
    """

    @property
    def batch_size(self) -> int:
        """Largest number of patches :meth:`submit` takes."""
        ...

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        ...

    @property
    def info(self) -> RuntimeInfo:
        """What computes."""
        ...

    @property
    def feature_count(self) -> int:
        """How many features follow the classes in each answer; 0 of classes alone."""
        ...

    def submit(self, patches: NDArray[np.uint8]) -> "Future[NDArray[np.float32]]":
        """Queue a batch; waits while the runtime has as many batches as it can use.

        Args:
            patches: ``(n, patch_px, patch_px, 3)`` RGB, 1 ≤ n ≤ ``batch_size``. Must not be
                changed before the future is done.

        Returns:
            A future of the probabilities, 0-1: of a binary model's positive class, ``(n,)``; of
            every class of another, ``(n, classes)``. A model that answers with maps has two more
            axes, rows and columns, with the margins cut. With features (:data:`Head`) it is
            ``(n, features)``, or ``(n, planes + features)`` with the classes first, one column of a
            binary model.
        """
        ...

    def each(self, patches: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """One batch, answered by every part that computes on its own: requests, streams, slots.

        Args:
            patches: As :meth:`submit` takes them.

        Returns:
            The answer of each part, as :meth:`submit` gives it.
        """
        ...

    def close(self) -> None:
        """Free the model. No other call may be running or follow."""
        ...


class PredictorBase:
    """What every predictor says of itself; each adds ``submit`` and ``close``.

    Args:
        batch_size: Largest number of patches of a batch.
        patch_px: Side of a patch.
        info: What computes.
    """

    def __init__(self, batch_size: int, patch_px: int, info: RuntimeInfo) -> None:
        self._batch_size = batch_size
        self._patch_px = patch_px
        self._info = info

    @property
    def batch_size(self) -> int:
        """See :attr:`Predictor.batch_size`."""
        return self._batch_size

    @property
    def patch_px(self) -> int:
        """See :attr:`Predictor.patch_px`."""
        return self._patch_px

    @property
    def info(self) -> RuntimeInfo:
        """See :attr:`Predictor.info`."""
        return self._info

    @property
    def feature_count(self) -> int:
        """See :attr:`Predictor.feature_count`."""
        return self._info.features


def predict_all(predictor: Predictor, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of any number of patches ``(n, patch_px, patch_px, 3)``, in order.

    Shaped as :meth:`Predictor.submit` gives them.
    """
    step = predictor.batch_size
    futures = [predictor.submit(patches[i : i + step]) for i in range(0, len(patches), step)]
    done = [future.result() for future in futures]
    return np.concatenate(done) if done else np.empty(0, np.float32)
