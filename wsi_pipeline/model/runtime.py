"""Choosing and admitting a runtime: no precision or compiler is trusted without the reference."""

import importlib.util
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import PrecisionChoice, RuntimeChoice
from wsi_pipeline.classes import deviation, margin
from wsi_pipeline.errors import PackageError, RuntimeRejectedError, UsageError
from wsi_pipeline.model.cascade import CascadePredictor, Stage
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.feature_admission import load_for_features
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head, Predictor
from wsi_pipeline.model.reference_check import admit

log = logging.getLogger(__name__)

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
        head: What it answers with: classes, pooled features, or both.
    """

    device: str
    precision: PrecisionChoice
    cache: Path
    runtime: RuntimeChoice = "auto"
    threads: int | None = None
    head: Head = "classes"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One library that computes packages on one kind of device.

    Attributes:
        name: What ``--runtime`` calls it.
        device: ``cpu`` or ``cuda``.
        precisions: What ``auto`` tries before fp32 on this machine, fastest first. By what the
            hardware states, not by a stopwatch: the same kind of machine must choose the same.
        load: Loads a package: ``load(package, request, device, precision, batch_size)``; None as
            batch size takes the runtime's own.
        refine_batch: Batch size of the later stages of a cascade, which get few patches.
        refuses: Why a precision is not to be had here, by precision.
        networks: Kinds of networks it computes, as
            :attr:`~wsi_pipeline.model.description.Architecture.kind` names them.
    """

    name: str
    device: str
    precisions: Callable[[], tuple[Precision, ...]]
    load: Callable[[ModelPackage, RuntimeRequest, str, Precision, int | None], Predictor]
    refine_batch: int = 1
    refuses: Mapping[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset({"weights"})


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
    network, device = package.description.architecture.kind, resolve_device(request.device)
    if request.device == "auto" and network != "weights":
        device = "cpu"  # no GPU runtime computes the others
    runtime = choose_runtime(request.runtime, device, network)
    if request.precision in runtime.refuses:
        raise UsageError(runtime.refuses[request.precision])
    if request.head != "classes" and package.description.map is not None:
        raise UsageError(
            f"{package.name} answers with maps and has no features of a tile; choose a model that "
            "answers with a number for each class, or an encoder"
        )
    if request.head == "features":
        return load_for_features(
            package,
            _tried(package, runtime, request.precision),
            lambda precision, head: runtime.load(
                package, replace(request, head=head), device, precision, None
            ),
            request.cache,
        )
    if request.precision == "auto":
        return _cascade(package, runtime, request, device, threshold)
    predictor = runtime.load(package, request, device, request.precision, None)
    admit(package, predictor, request.cache, request.head)
    return predictor


def choose_runtime(name: str, device: str, network: str = "weights") -> Runtime:
    """The runtime of a name on a device; ``auto`` takes the first of :data:`RUNTIMES`.

    Args:
        name: ``auto`` or one runtime.
        device: ``cpu`` or ``cuda:N``.
        network: Kind of the network.

    Raises:
        UsageError: it does not run there.
    """
    kind = device.split(":", maxsplit=1)[0]
    able = [one for one in RUNTIMES if network in one.networks]
    fits = any(one.device == kind and name in ("auto", one.name) for one in able)
    if network != "weights" and not fits:
        only = " or ".join(f"{one.name} on {one.device}" for one in able)
        raise UsageError(
            f"the package holds its network as {network}, which only {only} computes; leave out "
            "--runtime and --device"
        )
    here = [one for one in able if one.device == kind]
    found = next((one for one in here if name in ("auto", one.name)), None)
    if found is None:
        elsewhere = ", ".join(one.device for one in RUNTIMES if one.name == name) or "no device"
        raise UsageError(
            f"runtime {name} runs on {elsewhere}, not on {device}; leave out --runtime, or choose "
            f"{' or '.join(one.name for one in here)}"
        )
    return found


def _load_openvino(
    package: ModelPackage,
    request: RuntimeRequest,
    _: str,
    precision: Precision,
    batch_size: int | None,
) -> Predictor:
    extra = {} if batch_size is None else {"batch_size": batch_size}
    return OpenVinoPredictor(
        package, precision, request.cache, threads=request.threads, head=request.head, **extra
    )


def _fast_on_cpu() -> tuple[Precision, ...]:
    able = cpu_precisions()
    fast: tuple[Precision, ...] = ("int8", "bf16")
    return tuple(precision for precision in fast if precision in able)


def _load_torch_cpu(
    package: ModelPackage, request: RuntimeRequest, _: str, __: Precision, ___: int | None
) -> Predictor:
    from wsi_pipeline.model.torch_runtime import TorchCpuPredictor  # noqa: PLC0415 - torch

    return TorchCpuPredictor(package, head=request.head)


def _load_torch_cuda(
    package: ModelPackage,
    request: RuntimeRequest,
    device: str,
    precision: Precision,
    batch_size: int | None,
) -> Predictor:
    from wsi_pipeline.model.torch_runtime import (  # noqa: PLC0415 - imports torch
        CUDA_BATCH_SIZE,
        TorchCudaPredictor,
    )

    size = batch_size or CUDA_BATCH_SIZE
    return TorchCudaPredictor(package, precision, device, batch_size=size, head=request.head)


def _load_onnx(
    package: ModelPackage, request: RuntimeRequest, _: str, __: Precision, ___: int | None
) -> Predictor:
    if importlib.util.find_spec("onnxruntime") is None:
        raise PackageError(
            package.folder,
            "holds an ONNX file, and onnxruntime, which computes it, is not installed: pip install "
            "onnxruntime",
        )
    from wsi_pipeline.model.onnx_runtime import OnnxPredictor  # noqa: PLC0415 - few packages

    return OnnxPredictor(package, threads=request.threads, head=request.head)


_REFERENCE_ONLY = "torch on the CPU is the fp32 reference; leave out --precision"

_ONNX_FP32 = "onnxruntime computes in fp32; leave out --precision"

#: Every runtime; on each device ``auto`` takes the first.
RUNTIMES: list[Runtime] = [
    Runtime(
        "openvino",
        "cpu",
        _fast_on_cpu,
        _load_openvino,
        refuses={"fp16": "fp16 is for GPUs; on the CPU choose fp32, bf16, int8 or auto"},
        networks=frozenset({"weights", "graph"}),
    ),
    Runtime(
        "torch",
        "cpu",
        lambda: (),
        _load_torch_cpu,
        refuses=dict.fromkeys(("bf16", "fp16", "int8"), _REFERENCE_ONLY),
    ),
    Runtime("torch", "cuda", lambda: ("bf16",), _load_torch_cuda, refine_batch=8),
    Runtime(
        "onnxruntime",
        "cpu",
        lambda: (),
        _load_onnx,
        refuses=dict.fromkeys(("bf16", "fp16", "int8"), _ONNX_FP32),
        networks=frozenset({"onnx"}),
    ),
]


def _cascade(
    package: ModelPackage,
    runtime: Runtime,
    request: RuntimeRequest,
    device: str,
    threshold: float,
) -> Predictor:
    """Every admitted precision the package tolerates, then fp32; fp32 alone if none is admitted.

    Of maps fp32 alone: most tiles of tissue have px near the threshold and would be asked again.
    """
    stages: list[Stage] = []

    def load(precision: Precision) -> Predictor:
        batch = runtime.refine_batch if stages else None
        return runtime.load(package, request, device, precision, batch)

    tried = _tried(package, runtime, "auto") if package.description.map is None else ("fp32",)
    for precision in tried[:-1]:
        predictor = load(precision)
        try:
            values = admit(package, predictor, request.cache, request.head)
        except RuntimeRejectedError as error:
            log.warning("%s; continuing without it", error)
            continue
        stages.append(Stage(predictor, _band(package, precision, values, threshold)))
    predictor = load("fp32")
    admit(package, predictor, request.cache, request.head)
    if not stages:
        return predictor
    return CascadePredictor([*stages, Stage(predictor, 0.0)], package.classes, threshold)


def _tried(
    package: ModelPackage, runtime: Runtime, precision: PrecisionChoice
) -> tuple[Precision, ...]:
    """The precisions to try in turn, the last of which has to do."""
    if precision != "auto":
        return (precision,)
    fast = (one for one in runtime.precisions() if one in package.description.tolerance)
    return (*fast, "fp32")


def _band(
    package: ModelPackage, precision: Precision, values: NDArray[np.float32], threshold: float
) -> float:
    """The :func:`~wsi_pipeline.classes.margin` (logits) up to which a stage is not trusted."""
    expected, classes = package.reference()[1], package.classes
    near = margin(classes, expected, threshold) <= _BAND_REACH
    errors = deviation(classes, values, expected)[near]
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
