"""OpenVINO without its telemetry: nothing leaves the machine because a slide was analysed.

``openvino`` and ``nncf`` report their use over the network when ``openvino_telemetry`` can be
imported, and take its absence as a no. Every use of either goes through this module.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: "not there", by the import system's own rule

import openvino as ov  # noqa: E402 - after the line that keeps it quiet

__all__ = ["ov"]
