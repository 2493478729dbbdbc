"""OpenVINO without its telemetry, and safe to use from several threads at once.

``openvino`` and ``nncf`` report their use over the network when ``openvino_telemetry`` can be
imported, and take its absence as a no: nothing leaves the machine because a slide was analysed.

OpenVINO's Python bindings prepare their conversions to and from numpy when they are first used.
Two threads that use them first at the same time can wait for each other for ever: one for the
interpreter, the other for the preparation, during which the interpreter may change threads. So
they are used once here, while the import system lets no other thread past.

While OpenVINO reads or compiles a model it sets the locale of the process to ``C``, and then to
what it was before. Two threads at once would leave it at ``C``, where text files are ASCII: so
:data:`COMPILING` is held for that.

Every use of either library goes through this module.
"""

import sys
import threading

import numpy as np

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "not there", by the import system's own rule

import openvino as ov  # noqa: E402 - after the line that keeps it quiet

__all__ = ["COMPILING", "ov"]

#: Held by whoever compiles a model in a process that may load another one at the same time.
COMPILING = threading.RLock()


def _use_once() -> None:
    """Add two numbers, as any model is made and asked."""
    given = ov.opset13.parameter([1], np.float32)
    model = ov.Model([ov.opset13.add(given, np.ones(1, np.float32))], [given], "sum")
    request = ov.Core().compile_model(model, "CPU").create_infer_request()
    request.infer({0: np.ones(1, np.float32)})
    assert request.get_output_tensor(0).data[0] == 2


_use_once()
