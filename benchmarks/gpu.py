"""What a CUDA GPU does with the same slide: bare rate, end to end, busy share, a 62k slide.

``python -m benchmarks.gpu`` needs a GPU and prints one JSON object. ``busy_share`` is the mean
of the utilisation NVIDIA's driver reports while the slide is analysed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings
from wsi_pipeline.synth import SynthSpec, parse_size, write_slide


class _Utilisation:
    """Samples ``nvidia-smi`` ten times a second while it is entered."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.percent: list[float] = []

    def __enter__(self) -> "_Utilisation":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._stop.is_set():
            shown = subprocess.run(query, capture_output=True, text=True, check=False).stdout
            if shown.strip():
                self.percent.append(float(shown.split()[0]))
            self._stop.wait(0.1)


def main() -> None:
    """Measure bf16 and auto on a slide; ``--size`` chooses it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="62000x54000")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--folder", type=Path, default=Path("build/gpu"))
    arguments = parser.parse_args()
    import torch  # noqa: PLC0415 - after --help

    if not torch.cuda.is_available():
        sys.exit("no CUDA GPU here: nothing was measured")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    slide = arguments.folder / f"{arguments.size}.tiff"
    if not slide.exists():
        write_slide(SynthSpec(parse_size(arguments.size), seed=5), slide)
    package = find_or_build("demo", Settings())
    program = [sys.executable, "-m", "benchmarks.pipeline_run", str(slide), str(package.folder)]
    program += [str(Settings().cache_dir), str(arguments.folder / "result.zarr")]
    program += ["--device", arguments.device]
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name(0), "size": arguments.size}
    for precision in ("bf16", "auto"):
        bare = _json([*program, "--precision", precision, "--bare"])
        with _Utilisation() as busy:
            run = _json([*program, "--precision", precision])
        figures[precision] = {
            "bare_rate": bare["rate"],
            "decode_cpu_seconds": bare["decode_cpu_seconds"],
            "tiles_per_second": run["tiles"] / run["seconds"],
            "busy_share": statistics.fmean(busy.percent) / 100 if busy.percent else None,
            **run,
        }
    print(json.dumps(figures, indent=1))


def _json(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
