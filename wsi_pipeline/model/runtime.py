"""The runtimes: which library computes a package on which kind of device, and how it is loaded."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsi_pipeline.analysis_settings import PrecisionChoice, RuntimeChoice
from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head, Predictor


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
        tta: Whether it answers with means over eight orientations and their spread, see
            :mod:`~wsi_pipeline.model.orientations`; features alone stay those of one.
    """

    device: str
    precision: PrecisionChoice
    cache: Path
    runtime: RuntimeChoice = "auto"
    threads: int | None = None
    head: Head = "classes"
    tta: bool = False


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
        at_once: Patches it computes at once, about, where no batch size is asked for.
        refine_batch: Batch size of the later stages of a cascade, which get few patches.
        refuses: Why a precision is not to be had here, by precision.
        networks: Kinds of networks it computes, as
            :attr:`~wsi_pipeline.model.description.Architecture.kind` names them.
    """

    name: str
    device: str
    precisions: Callable[[], tuple[Precision, ...]]
    load: Callable[[ModelPackage, RuntimeRequest, str, Precision, int | None], Predictor]
    at_once: int = 8
    refine_batch: int = 1
    refuses: Mapping[str, str] = field(default_factory=dict)
    networks: frozenset[str] = frozenset({"weights"})


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
    return OpenVinoPredictor(
        package,
        precision,
        request.cache,
        threads=request.threads,
        batch_size=batch_size,
        head=request.head,
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
    Runtime("torch", "cuda", lambda: ("bf16",), _load_torch_cuda, at_once=384, refine_batch=8),
    Runtime(
        "onnxruntime",
        "cpu",
        lambda: (),
        _load_onnx,
        refuses=dict.fromkeys(("bf16", "fp16", "int8"), _ONNX_FP32),
        networks=frozenset({"onnx"}),
    ),
]


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
