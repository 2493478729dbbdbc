"""What a CUDA GPU does, measured in at most eight minutes.

    python -m benchmarks.gpu --out build/gpu

Seven steps, each in a process of its own with a limit of its own: what fails, hangs or is killed
costs its own rows. ``OUT/gpu.json`` is written anew after each step, ``OUT/steps/STEP.json`` after
each row, ``OUT/steps/STEP.log`` has what a step said. A row that needs a GPU says "not measured"
without one. The large slide is drawn beside the other steps by two cores, which they leave free
where there are eight or more. A step that is asked for alone may take all of the time.

Where the demo model was not built yet, build it before, which takes minutes:

    python -m benchmarks.gpu --out build/gpu --only prepare
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.gpu.rows import NOT_MEASURED, read_json, write_json
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.steps import STEPS, run_step
from wsi_pipeline.cli.supervisor import die_with
from wsi_pipeline.model.runtime import resolve_device

#: Cores that draw the large slide, and cores from which on the other steps leave them free.
_DRAWING, _MANY = 2, 8
#: Seconds kept for the large slide after it is drawn.
_FOR_LARGE = 60.0
#: How often it is looked whether a step is done, seconds.
_LOOK_SECONDS = 0.05


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all steps, or do one, for the process above."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    asked = parser.parse_args(given)
    setting = Setting(
        out=asked.out.resolve(),
        device=resolve_device(asked.device),
        model=asked.model,
        size=asked.size,
        large_size=asked.large_size,
        tiles=asked.tiles,
        recipe=asked.recipe,
        changes=tuple(asked.set),
        training_size=asked.training_size,
        training_steps=asked.training_steps,
        limit=asked.seconds,
    )
    if asked.step:
        sys.exit(run_step(asked.step, setting))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unknown = set(asked.only) - set(STEPS)
    if unknown:
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    figures = _measure(setting, asked.only or list(STEPS), given)
    _show(figures)
    print(f"all figures: {setting.out / 'gpu.json'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("build/gpu"))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N")
    parser.add_argument("--model", default="demo", help="a package's name or folder")
    parser.add_argument("--size", default="20000x18000")
    parser.add_argument("--large-size", default="62000x54000")
    parser.add_argument("--tiles", type=int, default=1280, help="compared, and kept in memory")
    parser.add_argument("--recipe", default="camelyon-inception-v3")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--training-size", default="8000x7000")
    parser.add_argument("--training-steps", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=450, help="limit of everything together")
    parser.add_argument("--only", action="append", default=[], metavar="STEP")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    return parser


def _measure(setting: Setting, names: Sequence[str], given: Sequence[str]) -> dict[str, Any]:
    """Run the steps in turn; what is measured so far is on disk all the time."""
    began, cores = time.monotonic(), sorted(os.sched_getaffinity(0))
    left = cores[:-_DRAWING] if len(cores) >= _MANY else cores
    figures: dict[str, Any] = {
        "device": setting.device,
        "card": NOT_MEASURED,
        "driver": NOT_MEASURED,
        "sizes": {"slide": setting.size, "large": setting.large_size},
        "limit_seconds": setting.limit,
        "steps": {},
    }
    drawing, name = None, ""
    try:
        if "large" in names:
            spare = setting.limit - _FOR_LARGE
            drawing = _Child("drawing", setting, given, spare, cores[-_DRAWING:])
        for name in names:
            remaining = setting.limit - (time.monotonic() - began)
            budget = STEPS[name].budget if len(names) > 1 else None
            limit = min(budget or remaining, remaining)
            print(f"{name}: at most {max(limit, 0):.0f} s", flush=True)
            figures["steps"][name] = _step(name, setting, given, limit, left)
            figures |= _machine(setting)
            figures["seconds"] = round(time.monotonic() - began, 1)
            write_json(setting.out / "gpu.json", figures)
    finally:
        if drawing is not None:
            drawing.end()
        if name and name not in figures["steps"]:  # ended from outside
            rows = read_json(setting.step_file(name))
            figures["steps"][name] = {"state": "stopped", "rows": rows}
            write_json(setting.out / "gpu.json", figures)
    return figures


def _step(
    name: str, setting: Setting, given: Sequence[str], limit: float, cores: Sequence[int]
) -> dict[str, Any]:
    """One step: its state, seconds, error and rows."""
    if limit < 1:
        return {"state": "no time left", "seconds": 0.0, "rows": {}}
    setting.step_file(name).unlink(missing_ok=True)
    began = time.monotonic()
    child = _Child(name, setting, given, limit, cores)
    in_time = False
    try:
        in_time = child.is_done_in(limit)
    finally:
        code = child.end()
    ended = "done" if code == 0 else "failed"
    outcome: dict[str, Any] = {
        "state": ended if in_time else "stopped at its limit",
        "seconds": round(time.monotonic() - began, 1),
        "limit_seconds": round(limit, 1),
        "cores": len(cores),
    }
    if in_time and code != 0:
        outcome |= {"exit_code": code, "error": child.last_lines()}
    return outcome | {"rows": read_json(setting.step_file(name))}


class _Child:
    """A process that does one step, in a group of its own so that its children end with it."""

    def __init__(
        self,
        name: str,
        setting: Setting,
        given: Sequence[str],
        limit: float,
        cores: Sequence[int],
    ) -> None:
        self._log = setting.step_file(name).with_suffix(".log")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self._log.open("wb")
        command = [sys.executable, "-m", "benchmarks.gpu", *given]
        command += ["--step", name, "--seconds", f"{limit:.1f}", "--device", setting.device]
        self._process = subprocess.Popen(
            command,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509 - no threads here
        )
        os.sched_setaffinity(self._process.pid, cores)

    def is_done_in(self, limit: float) -> bool:
        """Whether it ends in so many seconds; its number stays its own until :meth:`end`."""
        until = time.monotonic() + limit
        looked_for = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, self._process.pid, looked_for) is None:
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def end(self) -> int:
        """End what still runs of its group, also what a crash has left; its exit code."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._file.close()
        return self._process.wait()

    def last_lines(self) -> str:
        """What it said last."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])


def _machine(setting: Setting) -> dict[str, Any]:
    """Facts of the machine, from the first step."""
    found = read_json(setting.step_file("prepare")).get("machine")
    return found if isinstance(found, dict) and "error" not in found else {}


def _show(figures: dict[str, Any]) -> None:
    print(f"{figures['card']}, driver {figures['driver']}")
    for name, step in figures["steps"].items():
        print(f"{name}: {step['state']}, {step['seconds']} s")
        for row, found in step["rows"].items():
            print(f"  {row}: {found}")


if __name__ == "__main__":
    main()
