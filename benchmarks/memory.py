"""Peak memory of a process and its children, and the plot that shows it flat in slide size.

``python -m benchmarks.memory --out build/memory.png`` analyses synthetic slides of growing size
and draws the peak resident memory of ``wsi run`` over their area.
"""

import argparse
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

import psutil

#: Listing the children costs milliseconds, which the analysis would miss.
_INTERVAL_SECONDS = 0.25


class PeakMemory:
    """Samples the resident memory of a process and its children while it is entered.

    Pages of files mapped into memory count too, as the system counts them.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._peak = 0

    @property
    def peak_mb(self) -> float:
        """The largest sum seen, in 10^6 bytes."""
        return self._peak / 1e6

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.is_set():
            total = 0
            try:
                for process in (self._process, *self._process.children(recursive=True)):
                    try:
                        total += process.memory_info().rss
                    except psutil.NoSuchProcess:
                        continue
            except psutil.NoSuchProcess:
                return
            self._peak = max(self._peak, total)
            self._stop.wait(_INTERVAL_SECONDS)


def measure(slide: Path, out: Path, model: str) -> dict[str, float]:
    """Analyse a slide in a process of its own: peak memory (MB), seconds and tiles."""
    command = [sys.executable, "-m", "wsi_pipeline.cli", "run", str(slide), "-o", str(out)]
    command += ["--model", model, "--overwrite", "--json", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    with PeakMemory(psutil.Process(process.pid)) as memory:
        output = process.communicate()[0]
    row = json.loads(output)["slides"][0]
    return {"rss_mb": memory.peak_mb, "seconds": row["seconds"], "tiles": row["tiles"]}


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/memory.png"))
    parser.add_argument("--model", default="demo")
    parser.add_argument(
        "--sizes", nargs="+", default=["10000x9000", "20000x18000", "40000x36000", "62000x54000"]
    )
    arguments = parser.parse_args()
    from matplotlib.figure import Figure  # noqa: PLC0415 - the reference loop needs no plots

    from wsi_pipeline.synth import SynthSpec, parse_size, write_slide  # noqa: PLC0415 - likewise

    work = arguments.out.parent / "memory"
    work.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[float, float]] = []
    for size in arguments.sizes:
        slide = work / f"{size}.tiff"
        if not slide.exists():
            write_slide(SynthSpec(parse_size(size), seed=5), slide)
        figures = measure(slide, work / "results", arguments.model)
        rows.append((parse_size(size).area / 1e9, figures["rss_mb"]))
        print(f"{size}: {json.dumps(figures)}", flush=True)
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(*zip(*rows, strict=True), marker="o")
    axes.axhline(1000, color="0.6", linestyle="--", linewidth=1)
    axes.set(
        xlabel="slide area, 10⁹ px",
        ylabel="peak resident memory, MB",
        ylim=(0, 1100),
        title="wsi run: memory over slide size",
    )
    figure.savefig(arguments.out, dpi=120)
    arguments.out.with_suffix(".json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
