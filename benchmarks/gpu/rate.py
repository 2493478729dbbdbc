"""Tiles a second of the model alone, tiles in memory: what nothing around it can exceed.

``tiles_per_second`` is from uint8 tiles in ordinary memory to probabilities there: pinned buffers,
copies, normalisation, network, answer. ``device_tiles_per_second`` is over the seconds in which the
GPU had work (see :mod:`benchmarks.gpu.activity`): the rate if it never waited.
"""

import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.activity import GraphActivity
from benchmarks.gpu.cascades import CASCADES, is_computed, load
from benchmarks.gpu.rows import NOT_INSTALLED, NOT_MEASURED, Rows
from benchmarks.gpu.setting import Setting
from wsi_pipeline.model.cascade import CascadePredictor
from wsi_pipeline.model.predictor import Predictor

_Answer = Future[NDArray[np.float32]]
#: Seconds that are timed, at least, on a GPU; on a CPU one pass.
_SECONDS = 3.0
_INT8 = "not supported: torch has no int8 convolutions on GPUs, and no other runtime is used there"


def measure(setting: Setting, rows: Rows) -> None:
    """A row for each precision and cascade; int8 and TensorRT say why they have none."""
    prepared = setting.prepared()
    patches = setting.patches(prepared)
    for name in ("bf16", "fp16", "fp32", *CASCADES):
        if is_computed(setting, name):
            rows.measure(name, _of(setting, name, patches))
        else:
            rows.keep(name, NOT_MEASURED)
    rows.keep("int8", _INT8)
    there = importlib.util.find_spec("tensorrt") is not None
    rows.keep("TensorRT", "not used, see docs/decisions/0038" if there else NOT_INSTALLED)


def _of(setting: Setting, name: str, patches: NDArray[np.uint8]) -> Callable[[], dict[str, Any]]:
    def look() -> dict[str, Any]:
        began = time.perf_counter()
        predictor = load(setting, name)
        loaded = time.perf_counter() - began
        try:
            return {"load_seconds": loaded} | _timed(setting, predictor, patches)
        finally:
            predictor.close()

    return look


def _timed(setting: Setting, predictor: Predictor, patches: NDArray[np.uint8]) -> dict[str, Any]:
    step = predictor.batch_size
    whole = max(step, len(patches) // step * step)
    batches = [patches[i : i + step] for i in range(0, min(whole, len(patches)), step)]
    _answered(_asked(predictor, batches[:3]))  # buffers are touched, clocks are up
    with ExitStack() as stack:
        active = stack.enter_context(GraphActivity(setting.device)) if setting.on_gpu else None
        began, tiles = time.perf_counter(), 0
        ahead = _asked(predictor, batches)
        while setting.on_gpu and time.perf_counter() - began < _SECONDS:
            # The next pass is asked for before the last one is awaited: nothing runs dry.
            last, ahead = ahead, _asked(predictor, batches)
            tiles += _answered(last)
        tiles += _answered(ahead)
        ended = time.perf_counter()
    figures: dict[str, Any] = {
        "tiles": tiles,
        "batch": step,
        "seconds": ended - began,
        "tiles_per_second": tiles / (ended - began),
        "busy_share": NOT_MEASURED,
        "device_tiles_per_second": NOT_MEASURED,
        "gpu_memory_gib": NOT_MEASURED,
        "runtime": predictor.info.to_json(),
    }
    if active is not None:
        share = active.share(began, ended)
        figures["busy_share"] = share
        if isinstance(share, float):
            figures["device_tiles_per_second"] = figures["tiles_per_second"] / share
        figures["gpu_memory_gib"] = _reserved(setting.device)
    if isinstance(predictor, CascadePredictor):
        figures["asked_again"] = list(predictor.asked_again)
    return figures


def _asked(predictor: Predictor, batches: list[NDArray[np.uint8]]) -> list[_Answer]:
    return [predictor.submit(batch) for batch in batches]


def _answered(futures: list[_Answer]) -> int:
    """Wait for answers; of how many tiles they are."""
    return sum(len(future.result()) for future in futures)


def _reserved(device: str) -> float:
    import torch  # noqa: PLC0415 - loaded by the runtime

    return round(torch.cuda.memory_reserved(torch.device(device)) / 2**30, 2)
