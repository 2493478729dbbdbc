"""Features of the real patches: what the head is fitted on.

They are computed with OpenVINO in fp32 on two threads, some times as fast as torch. On one kind of
processor they are the same to the bit, whatever the machine does besides; between processors with
other vector instructions they differ in the last digits.
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsi_pipeline import durable
from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.lymph_node.network import MEAN, PATCH_PX, PLACES, STD, Trunk, inner
from wsi_pipeline.lymph_node.patches import RealPatches, placed, varied
from wsi_pipeline.model.openvino_library import COMPILING, ov
from wsi_pipeline.training.initial_weights import lite0_weights

_BATCH = 8
_THREADS = 2


@dataclass(frozen=True, slots=True)
class Features:
    """What the head is given of some cells; halves of floats, which lose nothing that matters.

    Attributes:
        places: Of every place of the cell, ``(n, 496, 4, 4)``.
        surround: Their mean over the eight neighbours, ``(n, 496, 1, 1)``.
    """

    places: Tensor
    surround: Tensor

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, chosen: NDArray[np.int64]) -> "Features":
        return Features(self.places[chosen], self.surround[chosen])


def new_trunk() -> Trunk:
    """The trunk with its ImageNet weights, in evaluation mode.

    Raises:
        PackageError: the weights are not installed.
    """
    trunk = Trunk()
    try:
        trunk.load_state_dict(lite0_weights(trunk, ()))
    except UsageError as error:
        raise PackageError(LYMPH_NODE, str(error)) from error
    return trunk.eval()


def features_of(
    patches: RealPatches,
    view: int,
    fold: NDArray[np.int64],
    kept: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Features:
    """Features of the cell in the middle of each patch, in one view of the patches.

    Args:
        patches: Of one source.
        view: See :func:`~wsi_pipeline.lymph_node.patches.varied`.
        fold: Of each patch, ``(n,)``.
        kept: Folder that keeps them; those that are there are not computed again.
        progress: Told how many patches more were computed.

    Raises:
        PackageError: the trunk's weights are not installed.
    """
    pixels, cells = placed(varied(patches.pixels, view), view, fold)
    digest = hashlib.sha256(pixels.tobytes() + cells.tobytes()).hexdigest()[:16]
    file = kept / f"{patches.source}-{view}-{digest}.npz"
    if file.exists():
        with np.load(file, allow_pickle=False) as arrays:
            found = [torch.from_numpy(arrays[name]) for name in ("places", "surround")]
        progress(len(patches))
        return Features(*found)
    compiled = _compiled()
    places, surround = [], []
    for start in range(0, len(pixels), _BATCH):
        some = pixels[start : start + _BATCH]
        values = np.zeros((_BATCH, 3, PATCH_PX, PATCH_PX), np.float32)
        values[: len(some)] = some.transpose(0, 3, 1, 2)
        outputs = compiled(values)
        for index, (row, column) in enumerate(cells[start : start + _BATCH]):
            down = slice(PLACES * row, PLACES * (row + 1))
            right = slice(PLACES * column, PLACES * (column + 1))
            places.append(outputs[0][index, :, down, right].astype(np.float16))
            surround.append(outputs[1][index, :, row, column].astype(np.float16))
        progress(len(some))
    arrays = {"places": np.stack(places), "surround": np.stack(surround)[:, :, None, None]}
    kept.mkdir(parents=True, exist_ok=True)
    with durable.replacing(file) as fresh, fresh.open("wb") as stream:
        np.savez(stream, **arrays)
    return Features(*(torch.from_numpy(array) for array in arrays.values()))


class _Inner(nn.Module):
    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        return inner(self.trunk((patches - MEAN) / STD))


def _compiled() -> Any:
    shape = (_BATCH, 3, PATCH_PX, PATCH_PX)
    module = _Inner(new_trunk())
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": _THREADS}
    with COMPILING:
        with warnings.catch_warnings(), torch.inference_mode():
            # OpenVINO's own way of tracing is deprecated by torch.
            warnings.simplefilter("ignore")
            graph = ov.convert_model(module, example_input=torch.zeros(shape), input=[list(shape)])
        return ov.Core().compile_model(graph, "CPU", {**settings, "NUM_STREAMS": 1})
