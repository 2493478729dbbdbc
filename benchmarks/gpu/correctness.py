"""Whether a GPU computes what the CPU does: contract suite, reference, decisions of real tiles.

The decisions are those at the package's threshold; the truth is OpenVINO's fp32 on the CPU. The
cascades must not change one; of the single precisions the changes are counted.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.cascades import CASCADES, is_computed, load
from benchmarks.gpu.rows import NOT_MEASURED, Rows
from benchmarks.gpu.setting import Setting
from wsi_pipeline.model.cascade import CascadePredictor
from wsi_pipeline.model.predictor import Predictor, predict_all
from wsi_pipeline.model.reference_check import answer_reference

_ROOT = Path(__file__).parents[2]
_PRECISIONS = ("fp32", "bf16", "fp16")


def measure(setting: Setting, rows: Rows) -> None:
    """A row of each precision and cascade, and ``contract suite``."""
    began = time.monotonic()
    patches = setting.patches(setting.prepared())
    exact = load(setting, "fp32", on_cpu=True)
    truth = predict_all(exact, patches)
    exact.close()
    for name in (*_PRECISIONS, *CASCADES):
        if is_computed(setting, name):
            rows.measure(name, _of(setting, name, patches, truth))
        else:
            rows.keep(name, NOT_MEASURED)
    # The last, for its time is the least known.
    if setting.on_gpu:
        rows.measure("contract suite", lambda: _contract_suite(setting, began))
    else:
        rows.keep("contract suite", NOT_MEASURED)


def _of(
    setting: Setting, name: str, patches: NDArray[np.uint8], truth: NDArray[np.float32]
) -> Callable[[], dict[str, Any]]:
    def look() -> dict[str, Any]:
        predictor = load(setting, name)
        try:
            return _reference(setting, predictor) | _decisions(setting, predictor, patches, truth)
        finally:
            predictor.close()

    return look


def _reference(setting: Setting, predictor: Predictor) -> dict[str, Any]:
    """That it was loaded says that it is within the tolerance; here is by how much."""
    expected = setting.package.reference()[1]
    difference = np.abs(answer_reference(setting.package, predictor) - expected)
    tolerance = setting.package.description.tolerance
    return {
        "runtime": predictor.info.to_json(),
        "reference_max_abs_difference": float(difference.max()),
        "tolerance": {str(name): value for name, value in tolerance.items()},
    }


def _decisions(
    setting: Setting,
    predictor: Predictor,
    patches: NDArray[np.uint8],
    truth: NDArray[np.float32],
) -> dict[str, Any]:
    before = predictor.asked_again if isinstance(predictor, CascadePredictor) else ()
    values = predict_all(predictor, patches)
    found, wanted = _decided(setting, values), _decided(setting, truth)
    figures: dict[str, Any] = {
        "tiles": len(patches),
        "decided": np.bincount(wanted).tolist(),  # tiles by label, the first: none, or normal
        "decisions_changed": int((found != wanted).sum()),
        "max_abs_difference": float(np.abs(values - truth).max()),
    }
    if isinstance(predictor, CascadePredictor):
        again = zip(predictor.asked_again, before, strict=True)
        figures["asked_again"] = [now - earlier for now, earlier in again]
    return figures


def _decided(setting: Setting, values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The label of each tile, ``(n,)``."""
    planes = values[None] if values.ndim == 1 else values.T[:, None]
    threshold = setting.package.description.threshold.value
    (labels,) = setting.package.classes.decide(planes, threshold)
    return np.asarray(labels, np.uint8)


def _contract_suite(setting: Setting, began: float) -> dict[str, Any]:
    """The tests of predictors that need a GPU."""
    report = setting.out / "steps" / "contract.xml"
    report.unlink(missing_ok=True)  # an earlier run's
    tests = "tests/contract/test_predictors.py"
    command = [sys.executable, "-m", "pytest", tests, "-m", "gpu", "-n", "0", "-q"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}"]
    subprocess.run(command, cwd=_ROOT, check=False, timeout=setting.seconds_left(began))
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - of our own making
    if suite is None:
        raise ValueError(f"{report} has no suite")
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = [
        f"{case.get('name')}: {(found.get('message') or '').splitlines()[:1]}"
        for case in suite.iter("testcase")
        for found in (*case.iter("failure"), *case.iter("error"))
    ]
    return {**counts, "failed": failed}
