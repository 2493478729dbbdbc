"""Torch: the reference on the CPU, and the way to use a CUDA GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.answering import Answering, as_rows
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.inference_pool import SlotPredictor
from wsi_pipeline.model.network import Classifier, load_classifier
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
    that copies overlap computing. fp32 is IEEE's, not TF32: the last stage of a cascade decides.

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
        lower(classifier, _DTYPES[precision])
        shape = (batch_size, prepare.input_px, prepare.input_px, 3)
        model = Answering(classifier, head)
        with torch.cuda.device(chosen), exact_fp32():
            slots = [
                _CudaSlot.capture(model, shape, _DTYPES[precision], chosen)
                for _ in range(_CUDA_SLOTS)
            ]
        count = package.description.features_of(tuple(slots[0].host_out.shape), head)
        info = RuntimeInfo(f"torch {torch.__version__}", f"{device} {name}", precision, count)
        super().__init__(slots, _replay, batch_size=batch_size, prepare=prepare, info=info)

    def close(self) -> None:
        """Wait for what runs and free the model."""
        super().close()
        torch.cuda.empty_cache()


@dataclass(frozen=True, slots=True)
class _CudaSlot:
    """Buffers and a captured graph for one batch in flight.

    A graph knows its weights by their addresses only: the slot keeps the model, or the memory would
    be given to others.
    """

    model: Answering
    stream: torch.cuda.Stream
    graph: torch.cuda.CUDAGraph
    fetched: torch.cuda.Event
    host_in: Tensor
    device_in: Tensor
    device_out: Tensor
    host_out: Tensor

    @classmethod
    def capture(
        cls,
        model: Answering,
        shape: tuple[int, int, int, int],
        dtype: torch.dtype,
        device: torch.device,
    ) -> "_CudaSlot":
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch types it not
        graph = torch.cuda.CUDAGraph()
        host_in = torch.zeros(shape, dtype=torch.uint8).pin_memory()
        device_in = torch.zeros(shape, dtype=torch.uint8, device=device)
        # The weights were converted on another stream, which this one would not wait for.
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.inference_mode(), torch.cuda.stream(stream):
            # Warming up lets the libraries load their kernels, which capturing does not allow.
            for _ in range(3):
                forward_normalising(model, device_in, dtype)
            stream.synchronize()
            # Another model of this process may be computing on a thread of its own.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                device_out = forward_normalising(model, device_in, dtype)
        host_out = torch.zeros(device_out.shape, dtype=torch.float32).pin_memory()
        # Waiting for a blocking event leaves the core to those who read.
        fetched = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch types it not
        return cls(model, stream, graph, fetched, host_in, device_in, device_out, host_out)


@contextmanager
def exact_fp32() -> Iterator[None]:
    """While it lasts, fp32 on a GPU is IEEE's; torch convolves in TF32, 10 bits, otherwise.

    Algorithms are chosen by rule, not by stopwatch, and give the same bits every time. A graph
    that is captured meanwhile stays so.
    """
    # Not by `cudnn.flags`: it also asks for `allow_tf32`, of which some versions of torch warn.
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    convolution = cudnn.conv  # type: ignore[attr-defined]  # torch types it not
    kept = convolution.fp32_precision, matmul.fp32_precision, cudnn.benchmark, cudnn.deterministic
    convolution.fp32_precision = matmul.fp32_precision = "ieee"
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        convolution.fp32_precision, matmul.fp32_precision, *others = kept
        cudnn.benchmark, cudnn.deterministic = others


def lower(classifier: Classifier, dtype: torch.dtype) -> None:
    """Convert a network to channels-last and to a precision, but for what costs no time in fp32.

    The numbers of batch normalisation and the last layer stay fp32: rounding the one moves every
    layer's answers, rounding the other the logits themselves.

    Args:
        classifier: In evaluation mode; changed in place.
        dtype: What convolutions and other layers compute in.
    """
    network = classifier.network
    last = getattr(classifier, "last", None)  # encoders may have none
    kept: list[nn.Module] = [one for one in network.modules() if isinstance(one, _BatchNorm)]
    kept += [last] if isinstance(last, nn.Module) else []
    numbers = [one.state_dict() for one in kept]
    network.to(dtype=dtype)
    network.to(memory_format=torch.channels_last)
    for module, before in zip(kept, numbers, strict=True):
        # Not only as fp32 again, which would leave them rounded.
        module.float().load_state_dict(before)
    if isinstance(last, nn.Module):
        last.register_forward_pre_hook(lambda _, inputs: tuple(one.float() for one in inputs))


def forward_normalising(model: Answering, patches: Tensor, dtype: torch.dtype) -> Tensor:
    """What a model on a device answers for uint8 patches that lie there.

    Args:
        model: Lowered to ``dtype`` by :func:`lower`.
        patches: ``(n, input, input, 3)`` RGB.
        dtype: Of the network.

    Returns:
        As :func:`~wsi_pipeline.model.answering.as_rows`, float32.
    """
    # NHWC seen as NCHW is channels-last already: no copy.
    pixels = patches.permute(0, 3, 1, 2).float()
    return as_rows(model.from_normalised(model.classifier.normalise(pixels).to(dtype)))


def _replay(slot: _CudaSlot, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    slot.host_in.numpy()[:] = patches
    with torch.cuda.stream(slot.stream):
        slot.device_in.copy_(slot.host_in, non_blocking=True)
        slot.graph.replay()
        slot.host_out.copy_(slot.device_out, non_blocking=True)
        slot.fetched.record()
    slot.fetched.synchronize()
    return slot.host_out.numpy()


def _forward(model: Answering, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        pixels = torch.from_numpy(np.require(patches, requirements="W")).permute(0, 3, 1, 2).float()
        values: NDArray[np.float32] = as_rows(model(pixels.contiguous())).numpy()
    return values
