"""The screen's network: four convolutions, a number for each tile, over a block in one pass.

Without padding, and with strides that divide a tile, so that a tile has the same answer in every
block. The answer is a logit: the soft maximum (log-mean-exp) of 4 × 4 places of the tile.
"""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.screen.view import BLOCK_TILES, view_px

if TYPE_CHECKING:
    from wsi_pipeline.model.openvino_library import ov

#: Kernel, stride and channels of each convolution; a last one of 1 × 1 px gives one number.
LAYERS = ((5, 2, 24), (3, 2, 48), (3, 2, 96), (3, 1, 96))
#: Places along a tile that have a number.
PLACES = 4
#: px / SCALE - 0.5 is what the network is given.
SCALE = 255.0

Arrays = Mapping[str, NDArray[np.float32]]


def shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every array of the network, ``(out, in, kernel, kernel)`` and ``(out,)``."""
    found: dict[str, tuple[int, ...]] = {}
    before = 3
    for index, (kernel, _, channels) in enumerate(LAYERS):
        found[f"weight{index}"] = (channels, before, kernel, kernel)
        found[f"bias{index}"] = (channels,)
        before = channels
    return {**found, "weight": (1, before, 1, 1), "bias": (1,)}


class Screen:
    """Answers for blocks of tiles; safe to share between threads.

    Args:
        arrays: Of the network, as :func:`shapes` says.
        package: Whose they are, for errors.

    Raises:
        PackageError: the arrays are not those of this network.
    """

    def __init__(self, arrays: Arrays, package: Path) -> None:
        # Here: it takes a moment that most packages need not spend.
        from wsi_pipeline.model.openvino_library import COMPILING, ov  # noqa: PLC0415

        for name, shape in shapes().items():
            found = arrays.get(name)
            sound = found is not None and found.shape == shape and found.dtype == np.float32
            if not sound or not np.isfinite(arrays[name]).all():
                raise PackageError(
                    package,
                    f"the screen's {name} is not float32 of {shape}; make it anew with wsi models "
                    "screen",
                )
        # Blocks are computed beside each other, each by one thread.
        cores = len(os.sched_getaffinity(0))
        config: dict[str, str | int] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": cores,
            "NUM_STREAMS": cores,
        }
        with COMPILING:
            self._compiled = ov.Core().compile_model(_graph(arrays), "CPU", config)
        self._requests = threading.local()

    def logits(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A logit for each tile of a block, float32 ``(BLOCK_TILES, BLOCK_TILES)``.

        Args:
            picture: :func:`~wsi_pipeline.screen.view.read_view` of the block.
        """
        request = getattr(self._requests, "one", None)
        if request is None:
            request = self._requests.one = self._compiled.create_infer_request()
        request.infer({0: np.ascontiguousarray(picture[None])})
        answer: NDArray[np.float32] = request.get_output_tensor(0).data
        return answer.copy()


def _graph(arrays: Arrays) -> "ov.Model":
    from wsi_pipeline.model.openvino_library import ov  # noqa: PLC0415 - see above

    ops, side = ov.opset13, view_px(BLOCK_TILES)
    given = ops.parameter([1, side, side, 3], np.uint8, name="picture")
    x = ops.transpose(ops.convert(given, "f32"), np.array([0, 3, 1, 2]))
    x = ops.subtract(ops.divide(x, np.float32(SCALE)), np.float32(0.5))
    for index, (_, stride, _) in enumerate(LAYERS):
        x = ops.relu(_convolution(x, arrays[f"weight{index}"], arrays[f"bias{index}"], stride))
    x = _convolution(x, arrays["weight"], arrays["bias"], 1)
    split = np.array([BLOCK_TILES, PLACES, BLOCK_TILES, PLACES])
    x = ops.reshape(x, split, special_zero=False)
    axes = np.array([1, 3])
    largest = ops.reduce_max(x, axes, keep_dims=True)
    total = ops.reduce_mean(ops.exp(ops.subtract(x, largest)), axes, keep_dims=False)
    x = ops.add(ops.log(total), ops.squeeze(largest, axes))
    return ov.Model([x], [given], "screen")


def _convolution(
    x: "ov.Node", weight: NDArray[np.float32], bias: NDArray[np.float32], stride: int
) -> "ov.Node":
    from wsi_pipeline.model.openvino_library import ov  # noqa: PLC0415 - see above

    done = ov.opset13.convolution(x, weight, [stride] * 2, [0, 0], [0, 0], [1, 1])
    return ov.opset13.add(done, bias.reshape(1, -1, 1, 1))
