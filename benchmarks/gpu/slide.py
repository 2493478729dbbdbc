"""From a slide's path to its result in place, the model loaded: tiles a second and busy share.

``busy_share`` is over the whole of it, ``busy_share_classifying`` from the first region handed out
to the last probability; how they are measured says :mod:`benchmarks.gpu.activity`. Each turn is
timed; the first, in which libraries start, is kept apart. The slide lies in the page cache.
"""

import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from benchmarks.gpu.activity import DriverUtilisation, GraphActivity
from benchmarks.gpu.analysis import Analysed, analyser
from benchmarks.gpu.rows import NOT_MEASURED, Rows
from benchmarks.gpu.setting import Setting
from benchmarks.memory import PeakMemory
from wsi_pipeline.analysis_settings import PrecisionChoice

#: Timed turns on a GPU.
_TURNS = 3


def measure(setting: Setting, rows: Rows) -> None:
    """A row for ``auto`` and for ``bf16``; on a CPU one for fp32."""
    for precision in ("auto", "bf16", "fp32"):
        if precision in whole_precisions(setting):
            rows.measure(precision, lambda p=precision: warm(setting, setting.slide, p))  # type: ignore[misc]  # mypy infers no type for a lambda's default
        elif not setting.on_gpu:
            rows.keep(precision, NOT_MEASURED)


def whole_precisions(setting: Setting) -> tuple[PrecisionChoice, ...]:
    """What whole slides are analysed in."""
    return ("auto", "bf16") if setting.on_gpu else ("fp32",)


def warm(setting: Setting, slide: Path, precision: PrecisionChoice) -> dict[str, Any]:
    """Analyse a slide several times in this process; on a CPU once more than the first time.

    Args:
        setting: Names package and device.
        slide: The slide.
        precision: Of the model.
    """
    out = setting.out / "results" / f"{slide.stem}-{precision}.zarr"
    analysis = setting.analysis.model_copy(update={"precision": precision})
    # On a CPU what a run takes there; torch is slow and only a reference.
    request = setting.request(precision, "torch" if setting.on_gpu else "openvino")
    done: list[dict[str, Any]] = []
    with (
        PeakMemory(psutil.Process()) as memory,
        analyser(setting.package, analysis, request) as (runtime, analyse),
    ):
        first = analyse(slide, out).figures
        for _ in range(_TURNS if setting.on_gpu else 1):
            with ExitStack() as stack:
                active = driver = None
                if setting.on_gpu:
                    active = stack.enter_context(GraphActivity(setting.device))
                    driver = stack.enter_context(DriverUtilisation(setting.device))
                one = analyse(slide, out)
            done.append(one.figures | _busy(one, active, driver))
    middle = statistics.median(turn["seconds"] for turn in done)
    return {
        "slide": slide.stem,
        "tiles": first["tiles"],
        "seconds": middle,
        "tiles_per_second": first["tiles"] / middle,
        **_medians(done),
        "first_seconds": first["seconds"],
        "rss_mb": memory.peak_mb,
        "runtime": runtime.to_json(),
        "turns": done,
    }


def _busy(
    one: Analysed, active: GraphActivity | None, driver: DriverUtilisation | None
) -> dict[str, Any]:
    if active is None or driver is None:
        return dict.fromkeys(_SHARES, NOT_MEASURED)
    shown = statistics.fmean(driver.percent) / 100 if driver.percent else NOT_MEASURED
    found = (active.share(one.began, one.ended), active.share(one.classifying, one.writing), shown)
    return dict(zip(_SHARES, found, strict=True))


_SHARES = ("busy_share", "busy_share_classifying", "driver_utilisation")


def _medians(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the shares, where there are any."""
    medians: dict[str, Any] = {}
    for name in _SHARES:
        known = [turn[name] for turn in turns if isinstance(turn[name], float)]
        medians[name] = statistics.median(known) if known else turns[0][name]
    return medians
