"""``python -m wsi_pipeline.lymph_node``: fits the head anew from the folder of real patches."""

import argparse
import json
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wsi_pipeline.errors import WsiError
from wsi_pipeline.lymph_node import fitting
from wsi_pipeline.lymph_node.familiarity import save_familiarity
from wsi_pipeline.lymph_node.head_file import FITTED, HEAD, METRICS, save_fitted
from wsi_pipeline.lymph_node.patches import read_lymph_node, read_pcam
from wsi_pipeline.model.package import TRAINING_FEATURES


def main() -> int:
    """Fit, write, and say whether the outcome is what comes with this program, bit for bit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "patches", type=Path, help="folder with pcam/ and lymph-node/, such as data/patches"
    )
    parser.add_argument("--out", type=Path, default=Path("build/lymph-node"))
    arguments = parser.parse_args()
    try:
        sources = [
            read_pcam(arguments.patches / "pcam"),
            read_lymph_node(arguments.patches / "lymph-node"),
        ]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn()) as progress:
            task = progress.add_task("reading", total=None)
            fitted = fitting.fit(
                sources,
                arguments.out / "features",
                fitting.Progress(
                    lambda name, total: progress.reset(task, description=name, total=total),
                    lambda steps: progress.advance(task, steps),
                ),
            )
        save_fitted(fitted.head, fitted.metrics, arguments.out)
        save_familiarity(sources, arguments.out)
    except WsiError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(_short(fitted.metrics), indent=1) + "\n")
    same = all(
        (FITTED / name).exists()
        and (FITTED / name).read_bytes() == (arguments.out / name).read_bytes()
        for name in (HEAD, METRICS, TRAINING_FEATURES)
    )
    state = "the same bits as" if same else "other bits than"
    sys.stdout.write(f"{arguments.out}: {state} the head that comes with this program\n")
    return 0


def _short(metrics: dict[str, object]) -> dict[str, object]:
    return {name: metrics[name] for name in ("patches", "held_out")}


if __name__ == "__main__":
    sys.exit(main())
