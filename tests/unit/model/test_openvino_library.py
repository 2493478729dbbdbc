"""OpenVINO from several threads: in a process of its own, where nobody has used it before."""

import subprocess
import sys

#: Threads change as often as they can: what is rare otherwise then happens nearly always.
_FIRST_CALLS = """
import sys, threading
sys.setswitchinterval(1e-6)
import numpy as np
from wsi_pipeline.model.openvino_library import ov

given = ov.opset13.parameter([1, 3], np.uint8)
model = ov.Model([ov.opset13.convert(given, "f32")], [given], "same")
compiled = ov.Core().compile_model(model, "CPU", {"NUM_STREAMS": 3})
all_there, answers = threading.Barrier(3), []

def ask():
    request, numbers = compiled.create_infer_request(), np.full((1, 3), 7, np.uint8)
    all_there.wait()
    request.infer({0: numbers})
    answers.append(request.get_output_tensor(0).data.tolist())

threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert answers == [[[7.0] * 3]] * 3, answers
"""


def test_first_calls_beside_each_other_do_not_wait_for_ever() -> None:
    command = [sys.executable, "-c", _FIRST_CALLS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
