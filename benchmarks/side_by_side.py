"""How fast torch computes beside another process that does the same: ``--processes 2``.

Training steps of Inception v3 (fp32, on the CPU) in one process, and in several at a time; with
torch's threads as libgomp has them, and with :data:`~wsi_pipeline.native.SHORT_WAITS`, which `wsi`
sets. Prints medians of seconds a step, and what a step beside others takes in place of one alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from wsi_pipeline.native import SHORT_WAITS

_BATCH = 8


def main() -> None:
    """Print the figures, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="that compute side by side")
    parser.add_argument("--steps", type=int, default=6, help="of each process")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/side_by_side.json"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_steps(arguments.steps)))
        return
    own = {name: value for name, value in os.environ.items() if name not in SHORT_WAITS}
    kinds: dict[str, Mapping[str, str]] = {"default": own, "short_waits": {**own, **SHORT_WAITS}}
    seconds: dict[str, dict[str, list[float]]] = {
        kind: {"alone": [], "beside": []} for kind in kinds
    }
    for _ in range(arguments.repeats):
        for kind, environment in kinds.items():
            of = seconds[kind]
            of["alone"] += _side_by_side(1, arguments.steps, environment)
            of["beside"] += _side_by_side(arguments.processes, arguments.steps, environment)
    figures: dict[str, object] = {"processes": arguments.processes, "load": os.getloadavg()[0]}
    for kind, of in seconds.items():
        medians = {where: round(statistics.median(values), 3) for where, values in of.items()}
        figures[kind] = {**medians, "times": round(medians["beside"] / medians["alone"], 2)}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


def _side_by_side(processes: int, steps: int, environment: Mapping[str, str]) -> list[float]:
    """Median seconds a step of each of some processes that compute at the same time."""
    command = [sys.executable, "-m", "benchmarks.side_by_side", "--one", "--steps", str(steps)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(processes)
    ]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("a process failed")
    return [statistics.median(json.loads(one)) for one in said]


def _steps(count: int) -> list[float]:
    """Seconds of each training step, after one that does not count."""
    # Imported here: the process that measures others must not compute itself.
    import torch  # noqa: PLC0415
    from torchvision.models import inception_v3  # noqa: PLC0415

    torch.manual_seed(0)
    network = inception_v3(weights=None, init_weights=False, aux_logits=False).train()
    optimiser = torch.optim.SGD(network.parameters(), 1e-3)
    pixels = torch.rand(_BATCH, 3, 299, 299)
    seconds: list[float] = []
    for _ in range(count + 1):
        start = time.perf_counter()
        network(pixels).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


if __name__ == "__main__":
    main()
