"""Choosing and admitting a runtime: no precision or compiler is trusted without the reference."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import RuntimeRejectedError, UsageError
from wsi_pipeline.model.admission import admit
from wsi_pipeline.model.cascade import CascadePredictor, Stage, logit
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.package import ModelPackage, Precision
from wsi_pipeline.model.predictor import Predictor

log = logging.getLogger(__name__)

PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16", "int8"]
RuntimeChoice = Literal["auto", "openvino", "torch"]

#: Half-widths of a cascade's bands, in logits: this many times the largest error the stage showed
#: on reference patches in reach of the threshold, but never less than the floor. ``make bench``
#: counts the decisions that still differ.
_BAND_MARGIN = 2.0
_BAND_FLOOR = {"int8": 0.5, "bf16": 0.1, "fp16": 0.05}
#: Reference patches farther than this from the threshold (logits) say nothing of errors near it.
_BAND_REACH = 4.0


@dataclass(frozen=True, slots=True)
class RuntimeRequest:
    """What the user asked to compute with.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda:N``; ``auto`` takes the first GPU if there is one.
        precision: ``auto`` takes the fastest whose decisions agree with fp32.
        runtime: ``auto`` takes OpenVINO on the CPU and torch on a GPU.
        cache: Folder for converted models.
        threads: CPU threads; None for all this process may use.
    """

    device: str
    precision: PrecisionChoice
    cache: Path
    runtime: RuntimeChoice = "auto"
    threads: int | None = None


def load_predictor(
    package: ModelPackage, request: RuntimeRequest, *, threshold: float
) -> Predictor:
    """Load a package on the device asked for and hold it to the package's reference.

    Args:
        package: The model.
        request: Device and precision.
        threshold: The decision ``auto`` has to preserve.

    Raises:
        RuntimeRejectedError: the runtime does not reproduce the reference.
        UsageError: the combination does not exist.
        PackageError: the device cannot be used.
    """
    device = resolve_device(request.device)
    if device == "cpu":
        if request.runtime == "torch":
            predictor = _torch_cpu(package, request)
            admit(package, predictor, request.cache)
            return predictor
        return _on_cpu(package, request, threshold)
    if request.runtime == "openvino":
        raise UsageError("OpenVINO runs on the CPU; leave out --runtime or use --device cpu")
    return _on_gpu(package, request, device, threshold)


def _on_cpu(package: ModelPackage, request: RuntimeRequest, threshold: float) -> Predictor:
    def load(precision: Precision, batch_size: int | None = None) -> Predictor:
        extra = {} if batch_size is None else {"batch_size": batch_size}
        return OpenVinoPredictor(
            package, precision, request.cache, threads=request.threads, **extra
        )

    if request.precision == "fp16":
        raise UsageError("fp16 is for GPUs; on the CPU choose fp32, bf16, int8 or auto")
    if request.precision != "auto":
        predictor = load(request.precision)
        admit(package, predictor, request.cache)
        return predictor
    # By what the CPU states, not by a stopwatch: the same kind of machine must choose the same.
    able = cpu_precisions()
    order: tuple[Precision, ...] = tuple(
        p for p in ("int8", "bf16") if p in able and p in package.description.tolerance
    )
    return _cascade(package, load, order, threshold, request.cache)


def _on_gpu(
    package: ModelPackage, request: RuntimeRequest, device: str, threshold: float
) -> Predictor:
    from wsi_pipeline.model.torch_runtime import (  # noqa: PLC0415 - imports torch
        CUDA_BATCH_SIZE,
        TorchCudaPredictor,
    )

    def load(precision: Precision, batch_size: int | None = None) -> Predictor:
        return TorchCudaPredictor(
            package, precision, device, batch_size=batch_size or CUDA_BATCH_SIZE
        )

    if request.precision != "auto":
        predictor = load(request.precision)
        admit(package, predictor, request.cache)
        return predictor
    order: tuple[Precision, ...] = ("bf16",) if "bf16" in package.description.tolerance else ()
    return _cascade(package, load, order, threshold, request.cache, refine_batch=8)


def _cascade(
    package: ModelPackage,
    load: Callable[..., Predictor],
    order: tuple[Precision, ...],
    threshold: float,
    cache: Path,
    refine_batch: int = 1,
) -> Predictor:
    """Every admitted precision of ``order``, then fp32; fp32 alone if none is admitted."""
    stages: list[Stage] = []
    for precision in order:
        predictor = load(precision, refine_batch if stages else None)
        try:
            values = admit(package, predictor, cache)
        except RuntimeRejectedError as error:
            log.warning("%s; going on without it", error)
            continue
        stages.append(Stage(predictor, _band(package, precision, values, threshold)))
    predictor = load("fp32", refine_batch if stages else None)
    admit(package, predictor, cache)
    if not stages:
        return predictor
    return CascadePredictor([*stages, Stage(predictor, 0.0)], threshold)


def _band(
    package: ModelPackage, precision: Precision, values: NDArray[np.float32], threshold: float
) -> float:
    """Half-width (logits) of the band around the threshold in which a stage is not trusted."""
    expected = logit(package.reference()[1])
    near = np.abs(expected - logit(np.float32(threshold))) <= _BAND_REACH
    errors = np.abs(logit(values) - expected)[near]
    return max(_BAND_FLOOR[precision], _BAND_MARGIN * float(errors.max(initial=0.0)))


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda:N`` for what the user said.

    Raises:
        UsageError: it is neither, nor ``auto``.
    """
    if device == "cpu" or device.startswith("cuda"):
        return "cuda:0" if device == "cuda" else device
    if device != "auto":
        raise UsageError(f"unknown device {device!r}; choose auto, cpu or cuda:N")
    return "cuda:0" if _has_gpu() else "cpu"


def _has_gpu() -> bool:
    # Asking torch would cost its import, seconds, on every machine without a GPU.
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _torch_cpu(package: ModelPackage, request: RuntimeRequest) -> Predictor:
    if request.precision not in ("auto", "fp32"):
        raise UsageError("torch on the CPU is the fp32 reference; leave out --precision")
    from wsi_pipeline.model.torch_runtime import TorchCpuPredictor  # noqa: PLC0415 - torch

    return TorchCpuPredictor(package)
