"""The steps, in the order of their worth, and the seconds each may take."""

import importlib
from dataclasses import dataclass

from benchmarks.gpu.rows import Rows
from benchmarks.gpu.setting import Setting


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        module: Has ``measure(setting, rows)``.
        budget: Seconds it may take at most; None: all that is left.
    """

    module: str
    budget: float | None


STEPS = {
    "prepare": Step("benchmarks.gpu.preparation", 120),
    "correctness": Step("benchmarks.gpu.correctness", 110),
    "rate": Step("benchmarks.gpu.rate", 70),
    "slide": Step("benchmarks.gpu.slide", 50),
    "decode": Step("benchmarks.gpu.decoding", 30),
    "training": Step("benchmarks.gpu.training_rate", 75),
    "large": Step("benchmarks.gpu.large", None),
}
#: Not measured: goes on beside the others.
_BESIDE = {"drawing": Step("benchmarks.gpu.drawing", None)}


def run_step(name: str, setting: Setting) -> int:
    """Measure one step in this process; its exit code."""
    rows = Rows(setting.step_file(name))
    module = importlib.import_module((STEPS | _BESIDE)[name].module)
    module.measure(setting, rows)
    return 1 if rows.failed else 0
