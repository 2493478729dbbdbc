"""The machine's facts, the model and the slide: what all other steps need."""

import importlib.metadata
import os
import time
from typing import Any

import psutil

from benchmarks.gpu.activity import driver_facts
from benchmarks.gpu.rows import NOT_MEASURED, Rows
from benchmarks.gpu.setting import Setting
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide


def measure(setting: Setting, rows: Rows) -> None:
    """Rows ``machine``, ``slide``, ``model``: building the demo model may take all of the time."""
    rows.measure("machine", lambda: _machine(setting))
    rows.measure("slide", lambda: _timed(lambda: _draw(setting)))
    rows.measure("model", lambda: _timed(lambda: setting.package.name))


def _machine(setting: Setting) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "torch": importlib.metadata.version("torch"),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
    if not setting.on_gpu:
        return facts | {"card": NOT_MEASURED, "driver": NOT_MEASURED}
    import torch  # noqa: PLC0415 - takes seconds

    about = torch.cuda.get_device_properties(torch.device(setting.device))
    facts |= {
        "card": about.name,
        "cuda": torch.version.cuda,
        "driver": (driver_facts() or {}).get("driver", "nvidia-smi does not say"),
        "gpu_memory_gib": round(about.total_memory / 2**30, 1),
        "compute_capability": f"{about.major}.{about.minor}",
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]  # torch types it not
    }
    return facts


def _draw(setting: Setting) -> str:
    if not setting.slide.exists():
        write_slide(SynthSpec(parse_size(setting.size), seed=7), setting.slide)
    return setting.size


def _timed(work: Any) -> dict[str, Any]:
    began = time.perf_counter()
    name = work()
    return {"name": name, "seconds": time.perf_counter() - began}
