"""The large slide, cold and warm.

``cold``: a process of its own, the slide not in the page cache; ``process_seconds`` is all of it,
from its start to its end, with imports, loading and admission of the model. ``warm``: the model
loaded, the slide in the page cache, see :mod:`benchmarks.gpu.slide`. If the large slide is not
drawn in time, the other one is measured in its place, and row ``slide`` says so.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.rows import Rows, read_json
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.slide import warm, whole_precisions
from wsi_pipeline.settings import Settings

#: Seconds to keep for measuring, once the slide is there.
_FOR_MEASURING = 50.0


def measure(setting: Setting, rows: Rows) -> None:
    """Rows ``slide``, ``cold`` and ``warm``."""
    slide = _waited_for(setting)
    rows.keep("slide", _told(setting, slide))
    rows.measure("cold", lambda: _cold(setting, slide))
    rows.measure("warm", lambda: warm(setting, slide, whole_precisions(setting)[0]))


def _waited_for(setting: Setting) -> Path:
    until = time.monotonic() + setting.limit - _FOR_MEASURING
    while not setting.large_slide.exists():
        if time.monotonic() > until:
            return setting.slide
        time.sleep(0.2)
    return setting.large_slide


def _told(setting: Setting, slide: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"size": slide.stem}
    if slide != setting.large_slide:
        told["instead_of"] = f"{setting.large_size}, which was not drawn in time"
    drawn = read_json(setting.step_file("drawing")).get("seconds")
    return told if drawn is None else told | {"drawing_seconds": drawn}


def _cold(setting: Setting, slide: Path) -> dict[str, Any]:
    # Written to disk first: only then the kernel lets go of it.
    with slide.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    out = setting.out / "results" / f"{slide.stem}-cold.zarr"
    parts = [slide, setting.package.folder, Settings().cache_dir, out]
    command = [sys.executable, "-m", "benchmarks.pipeline_run", *map(str, parts)]
    command += ["--device", setting.device, "--precision", whole_precisions(setting)[0]]
    if setting.analysis.level is not None:
        command += ["--level", str(setting.analysis.level)]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    took = time.perf_counter() - began
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"process_seconds": took, **figures}
