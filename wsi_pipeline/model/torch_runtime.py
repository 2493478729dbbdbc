"""Torch: the reference on the CPU, and the way to use a CUDA GPU."""

import os
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.answering import Answering, as_rows
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.inference_pool import SlotPredictor
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head, RuntimeInfo
from wsi_pipeline.model.preprocessing import Preparer

CPU_BATCH_SIZE = 8
CUDA_BATCH_SIZE = 128
#: Batches in flight on a GPU: one computes while the next is copied and the last is fetched.
_CUDA_SLOTS = 3
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchCpuPredictor(SlotPredictor[Answering]):
    """Eager fp32 on the CPU: slow, simple, and what the others are measured by.

    Args:
        package: The model.
        batch_size: Patches per batch.
        head: What it answers with.
    """

    def __init__(
        self, package: ModelPackage, *, batch_size: int = CPU_BATCH_SIZE, head: Head = "classes"
    ) -> None:
        threads, prepare = len(os.sched_getaffinity(0)), Preparer(package.description)
        model = Answering(load_classifier(package), head)
        count = 0
        if head != "classes":
            blank = np.zeros((1, prepare.input_px, prepare.input_px, 3), np.uint8)
            count = package.description.features_of(_forward(model, blank).shape, head)
        version = f"torch {torch.__version__}"
        super().__init__(
            [model],
            _forward,
            batch_size=batch_size,
            prepare=prepare,
            info=RuntimeInfo(version, f"cpu {threads} threads", "fp32", count),
        )


class TorchCudaPredictor(SlotPredictor["_CudaSlot"]):
    """One CUDA GPU: pinned buffers, a captured graph per slot, normalisation on the device.

    uint8 batches cross the bus (a quarter of the bytes), each slot on a stream of its own, so
    that copies overlap computing.

    Args:
        package: The model.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        device: ``cuda:0`` and so on.
        batch_size: Patches per batch.
        head: What it answers with.

    Raises:
        PackageError: there is no such GPU, or no such precision on it.
    """

    def __init__(
        self,
        package: ModelPackage,
        precision: Precision,
        device: str,
        *,
        batch_size: int = CUDA_BATCH_SIZE,
        head: Head = "classes",
    ) -> None:
        if precision not in _DTYPES:
            raise PackageError(package.name, f"{precision} is not available on a GPU; use bf16")
        try:
            chosen = torch.device(device)
            name = torch.cuda.get_device_name(chosen)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise PackageError(package.name, f"no device {device}: {error}") from error
        prepare = Preparer(package.description)
        classifier = load_classifier(package).to(chosen)
        classifier.network.to(dtype=_DTYPES[precision])
        classifier.network.to(memory_format=torch.channels_last)
        shape = (batch_size, prepare.input_px, prepare.input_px, 3)
        model = Answering(classifier, head)
        slots = [_CudaSlot.capture(model, shape, chosen) for _ in range(_CUDA_SLOTS)]
        count = package.description.features_of(tuple(slots[0].host_out.shape), head)
        info = RuntimeInfo(f"torch {torch.__version__}", f"{device} {name}", precision, count)
        super().__init__(slots, _replay, batch_size=batch_size, prepare=prepare, info=info)

    def close(self) -> None:
        """Wait for what runs and free the model."""
        super().close()
        torch.cuda.empty_cache()


@dataclass(frozen=True, slots=True)
class _CudaSlot:
    """Buffers and a captured graph for one batch in flight."""

    stream: torch.cuda.Stream
    graph: torch.cuda.CUDAGraph
    host_in: torch.Tensor
    device_in: torch.Tensor
    device_out: torch.Tensor
    host_out: torch.Tensor

    @classmethod
    def capture(
        cls, model: Answering, shape: tuple[int, int, int, int], device: torch.device
    ) -> "_CudaSlot":
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types it not
        graph = torch.cuda.CUDAGraph()
        host_in = torch.zeros(shape, dtype=torch.uint8).pin_memory()
        device_in = torch.zeros(shape, dtype=torch.uint8, device=device)
        with torch.inference_mode(), torch.cuda.device(device), torch.cuda.stream(stream):
            # Warming up lets cuDNN choose its algorithms before they are captured.
            for _ in range(3):
                _device_forward(model, device_in)
            stream.synchronize()
            with torch.cuda.graph(graph, stream=stream):
                device_out = _device_forward(model, device_in)
        host_out = torch.zeros(device_out.shape, dtype=torch.float32).pin_memory()
        return cls(stream, graph, host_in, device_in, device_out, host_out)


def _device_forward(model: Answering, patches: torch.Tensor) -> torch.Tensor:
    # NHWC seen as NCHW is channels-last already: no copy.
    pixels = patches.permute(0, 3, 1, 2).float()
    classifier = model.classifier
    dtype = next(classifier.network.parameters()).dtype
    return as_rows(model.from_normalised(classifier.normalise(pixels).to(dtype)))


def _replay(slot: _CudaSlot, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    slot.host_in.numpy()[:] = patches
    with torch.cuda.stream(slot.stream):
        slot.device_in.copy_(slot.host_in, non_blocking=True)
        slot.graph.replay()
        slot.host_out.copy_(slot.device_out, non_blocking=True)
    slot.stream.synchronize()
    return slot.host_out.numpy()


def _forward(model: Answering, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        pixels = torch.from_numpy(patches).permute(0, 3, 1, 2).float()
        values: NDArray[np.float32] = as_rows(model(pixels.contiguous())).numpy()
    return values
