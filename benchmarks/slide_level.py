"""Does a fitted slide probability beat the largest cell where single cells are wrong.

``python -m benchmarks.slide_level`` draws a cohort of small slides for each seed: pink and violet
tissue, in every slide some single tiles that look like tumour through and through, and in half of
them a tumour of several neighbouring tiles that look less so. A small network analyses every slide
as ``wsi run`` does; the answer for slides is fitted as ``wsi train --slide-level`` does it, with
every slide scored by a fit that has not seen it.

``build/slide_level.json`` keeps for each seed ``auc`` and ``auc_max`` with their 95 % intervals,
``auc_difference`` with its interval and DeLong's p; and over all seeds the means, and the least
difference. No seed is left out.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.batch import run_batch
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.run.inputs import Entry
from wsi_pipeline.run.observer import Observer, SilentObserver
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.summary import Outcome
from wsi_pipeline.run.work import Work
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR, make_package
from wsi_pipeline.testing.slides import write_pyramid
from wsi_pipeline.training.slide_level.fit import Kind, SlideOrder, fit_package
from wsi_pipeline.training.slide_level.table import LabelledSlide, LabelledSlides

#: Px of a tile, which is the network's patch, and tiles along a side of a slide.
_TILE, _SIDE = 96, 8
#: Grey of glass.
_GLASS = 242
#: Tiles that look like tumour and are none, in every slide.
_WRONG = (2, 4)
#: How much of a true tumour's tiles looks like it.
_SHARE = (0.6, 0.75)
_FIGURES = ("auc", "auc_max", "auc_difference")


def draw_slide(path: Path, rng: np.random.Generator, *, positive: bool) -> None:
    """A slide of tissue on glass with single wrong tiles, and a tumour if it is positive."""
    share = np.zeros((_SIDE, _SIDE))
    inside = slice(1, _SIDE - 1)
    places = np.argwhere(np.pad(np.ones((_SIDE - 2, _SIDE - 2), bool), 1))
    chosen = places[rng.permutation(len(places))]
    if positive:
        row, column = chosen[0]
        height, width = rng.integers(1, 3), rng.integers(2, 4)
        size = share[row : row + height, column : column + width].shape
        share[row : row + height, column : column + width] = rng.uniform(*_SHARE, size)
    for row, column in chosen[1 : 1 + rng.integers(*_WRONG)]:
        share[row, column] = 1.0
    wide = np.kron(share, np.ones((_TILE, _TILE)))[..., None]
    mixed = wide * np.array(TUMOUR_COLOUR) + (1 - wide) * np.array(NORMAL_COLOUR)
    image: NDArray[np.float64] = np.full(mixed.shape, float(_GLASS))
    edge = slice(inside.start * _TILE, inside.stop * _TILE)
    image[edge, edge] = mixed[edge, edge]
    image += rng.normal(0, 12, image.shape)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8))


def measure(
    folder: Path, package: ModelPackage, *, slides: int, seed: int, kind: Kind
) -> dict[str, Any]:
    """The figures of one cohort.

    Args:
        folder: For its slides and results.
        package: The model.
        slides: How many, half of them positive.
        seed: Of the cohort.
        kind: Of the fit.
    """
    rng = np.random.default_rng([seed, 13])
    folder.mkdir(parents=True, exist_ok=True)
    labelled = []
    for number in range(slides):
        name, positive = f"slide-{number:03d}", number % 2 == 0
        path = folder / f"{name}.tiff"
        draw_slide(path, rng, positive=positive)
        labelled.append(LabelledSlide(name, "tumour" if positive else "normal", name, path))
    out = folder / "results"
    entries = [Entry(one.path, Path(one.name)) for one in labelled if one.path is not None]
    request = RuntimeRequest("cpu", "fp32", folder / "cache")
    with connect(None, 2) as scheduler:
        work = Work(package, AnalysisSettings(), request, scheduler)
        outcomes = list(run_batch(entries, out, work, _Silent()))
    failed = [outcome.reason for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise RuntimeError(failed[0])
    report = fit_package(
        package,
        LabelledSlides(tuple(labelled), ("normal", "tumour"), "normal", "slides of the cohort"),
        [(one, out / f"{one.name}.zarr") for one in labelled],
        SlideOrder(folder / "package", kind=kind, seed=seed),
    )
    return {"seed": seed, **{name: report["figures"][name] for name in _FIGURES}}


def summarise(cohorts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over all cohorts, and the least difference."""
    means = {name: statistics.fmean(one[name]["value"] for one in cohorts) for name in _FIGURES}
    least = min(one["auc_difference"]["value"] for one in cohorts)
    return {"cohorts": list(cohorts), "mean": means, "least_difference": least}


class _Silent:
    """Told of slides, says nothing."""

    def begins(self, entry: Entry) -> Observer:  # noqa: ARG002 - of BatchObserver
        return SilentObserver()

    def ended(self, outcome: Outcome) -> None:
        pass


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slides", type=int, default=40)
    parser.add_argument(
        "--kind", choices=["regions-logistic", "regions-forest"], default="regions-logistic"
    )
    parser.add_argument("--out", type=Path, default=Path("build/slide_level.json"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        package = make_package(Path(folder) / "model")
        cohorts = []
        for seed in range(1, asked.seeds + 1):
            found = measure(
                Path(folder) / f"seed-{seed}",
                package,
                slides=asked.slides,
                seed=seed,
                kind=asked.kind,
            )
            cohorts.append(found)
            fit, largest = found["auc"], found["auc_max"]
            print(
                f"seed {seed}: fit {fit['value']:.3f} ({fit['low']:.3f} to {fit['high']:.3f}), "
                f"largest cell {largest['value']:.3f} "
                f"({largest['low']:.3f} to {largest['high']:.3f}), "
                f"p = {found['auc_difference']['delong_p']:.2g}",
                flush=True,
            )
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(summarise(cohorts), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
