"""Whether a model fits into a machine, asked before it is loaded.

An estimate from what the network's parts take for certain: its weights, as often as they are held,
and what a patch takes while it is computed. Better a refusal with the figure than a machine that
swaps for an hour, or a process that the kernel ends.
"""

from pathlib import Path

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.package import ModelPackage

#: Bytes of a weight, as packages hold it and as each precision computes with it.
_STORED = 4
_COMPUTED: dict[Precision, int] = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
#: Bytes that a network keeps for each px of its input while it computes.
_BYTES_PER_PX = 400
#: Converting for OpenVINO holds the weights in torch, in the traced graph and in the new file.
_CONVERTING = 3
_GIB = 2**30


def check_memory(package: ModelPackage, precision: Precision, device: str, patches: int) -> None:
    """Refuse a model that the device cannot hold.

    Args:
        package: The model; the size of its weights is known without reading them.
        precision: What is computed in.
        device: ``cpu`` or ``cuda:N``.
        patches: How many are computed at once.

    Raises:
        PackageError: it needs more than is free; the message has both figures.
    """
    if package.description.architecture.kind != "weights":
        return
    weights = package.weights.stat().st_size
    computed = weights // _STORED * _COMPUTED[precision]
    needed = computed + patches * package.description.input_px**2 * _BYTES_PER_PX
    if device == "cpu":
        # What the conversion takes is given back before the computing begins.
        needed = max(needed + weights, _CONVERTING * weights)
    free = _free_ram() if device == "cpu" else _free_on_gpu(device)
    if free is not None and needed > free:
        raise PackageError(
            package.name,
            f"needs about {needed / _GIB:.1f} GiB of memory in {precision} for "
            f"{weights // _STORED:,} weights, and {free / _GIB:.1f} GiB are free on {device}; use "
            "a machine with more, or a smaller model",
        )


def _free_ram() -> int | None:
    """Bytes that this process may still take: of the machine, or of its control group."""
    found = [
        int(line.split()[1]) * 1024
        for line in _text("/proc/meminfo").splitlines()
        if line.startswith("MemAvailable:")
    ]
    most, used = (_text(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if most.isdigit() and used.isdigit():
        found.append(max(0, int(most) - int(used)))
    return min(found, default=None)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


def _free_on_gpu(device: str) -> int | None:
    import torch  # noqa: PLC0415 - takes seconds

    try:
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    except (RuntimeError, AssertionError, ValueError):
        return None  # there is none: loading says so
