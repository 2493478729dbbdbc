"""Attention trained on slide labels beside the largest probability of a tile classifier.

    python -m benchmarks.attention --folder build/bench-attention

Draws slides, half of them with tumour in 1 % of the tissue, in three stains; only whether there is
tumour is told to the training. Features are those of ``lymph-node``'s trunk, frozen:
EfficientNet-Lite0 with its ImageNet weights, four stages, of tiles of 128 px at 0.25 µm/px. The
tile classifiers are packages as they are, asked for the largest probability of a cell. AUCs are of
slides that the networks never saw (five folds), with 95 % intervals over slides drawn again, for
every seed. What was drawn and computed is kept in the folder. ``--out`` keeps the figures as JSON.
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.geometry import Size
from wsi_pipeline.grid import make_grid
from wsi_pipeline.lymph_node.features import new_trunk
from wsi_pipeline.lymph_node.network import MEAN, STD
from wsi_pipeline.metrics.bootstrap import interval
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.settings import Settings
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.synth import SynthSpec, write_slide
from wsi_pipeline.tiles.patches import read_input
from wsi_pipeline.tiles.plan import make_plan
from wsi_pipeline.training.device import repeatable
from wsi_pipeline.training.run import Silence
from wsi_pipeline.training.slides.bags import open_bags
from wsi_pipeline.training.slides.cross_validation import SlideJob, clear, cross_validate
from wsi_pipeline.training.slides.recipe import load_slide_recipe
from wsi_pipeline.training.slides.table import LabelledSlides, read_labels

Json = dict[str, Any]
Values = NDArray[np.float64]

_TUMOUR = 0.01
_FIRST_SEED = 7000
_TILE_PX, _MPP = 128, 0.25
_BATCH = 16


def main() -> None:
    """Draw, compute features, train, print, keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("build/bench-attention"))
    parser.add_argument("--slides", type=int, default=60)
    parser.add_argument("--side", type=int, default=2560, help="of a slide, px")
    parser.add_argument(
        "--first-slide", type=int, default=_FIRST_SEED, help="seed of the first slide"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipes", nargs="+", default=["abmil", "mean-pool"])
    parser.add_argument("--models", nargs="*", default=["lymph-node", "demo"])
    parser.add_argument("--out", type=Path, default=Path("build/bench-attention.json"))
    arguments = parser.parse_args()
    began = time.perf_counter()
    slides = draw(
        arguments.folder / "slides", arguments.slides, arguments.side, arguments.first_slide
    )
    table = extract(slides, arguments.folder / "features")
    found = read_labels(table, None, "classes")
    labels = np.array([slide.label for slide in found.slides])
    largest = {name: scores(slides, name, arguments.folder) for name in arguments.models}
    rows: list[Json] = [
        {"method": f"max of {name}", **estimate(labels, values)} for name, values in largest.items()
    ]
    for recipe in arguments.recipes:
        for seed in range(1, arguments.seeds + 1):
            odds, seconds = trained(found, recipe, seed, arguments.folder / "training")
            row: Json = {"method": recipe, "seed": seed, "seconds": seconds}
            row |= estimate(labels, odds)
            for name, values in largest.items():
                row[f"above max of {name}"] = difference(labels, odds, values)
            rows.append(row)
            print(json.dumps(row), flush=True)
    figures = {"slides": len(labels), "tumour": int(labels.sum()), "rows": rows}
    figures["seconds"] = round(time.perf_counter() - began, 1)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print_table(rows)


def draw(folder: Path, count: int, side: int, first: int) -> list[Path]:
    """Slides; every second one has tumour."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"s{number:02d}.tiff" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            share, stain = _TUMOUR * (number % 2), "abc"[number % 3]
            spec = SynthSpec(
                Size(side, side), seed=first + number, tumour=share, stain=stain, tissue=0.6
            )
            write_slide(spec, path)
    return paths


class Encoder(nn.Module):
    """The trunk's four stages, each averaged over the tile: uint8 values in, ``(n, 496)`` out."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = new_trunk()

    def forward(self, patches: Tensor) -> Tensor:
        """Of ``(n, 3, side, side)``, RGB 0-255; the tile is not enlarged as the trunk does it."""
        trunk = self.trunk
        values = trunk.bn1(trunk.conv_stem((patches - MEAN) / STD))
        found = []
        for number, block in enumerate(trunk.blocks):
            values = block(values)
            if number in trunk.stages:
                found.append(values.mean((2, 3)))
        return torch.cat(found, 1)


def extract(slides: list[Path], folder: Path) -> Path:
    """Features of all tissue tiles, one file for each slide; and the table of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    compiled = None
    for path in slides:
        file = folder / f"{path.stem}.h5"
        if not file.exists():
            compiled = compiled or _compiled()
            features, corners = _features(path, compiled)
            with h5py.File(file, "w") as out:
                out["features"], out["coords"] = features, corners
    rows = ["slide,label", *(f"{path.stem},{number % 2}" for number, path in enumerate(slides))]
    table = folder / "labels.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def _compiled() -> Any:
    shape = (_BATCH, 3, _TILE_PX, _TILE_PX)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # torch calls OpenVINO's way of tracing deprecated
        graph = ov.convert_model(
            Encoder().eval(), example_input=torch.zeros(shape), input=[list(shape)]
        )
    return ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _features(path: Path, compiled: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    reader = open_slide(path)
    resolution = choose_resolution(reader.info, mpp=_MPP, level=None, override=_MPP)
    grid = make_grid(reader.info, resolution, patch=_TILE_PX, stride=_TILE_PX)
    plan = make_plan(reader, grid, min_tissue=0.3, exact=False)
    parts = []
    for start in range(0, len(plan), _BATCH):
        batch = np.zeros((_BATCH, 3, _TILE_PX, _TILE_PX), np.float32)
        cells = plan.cells[start : start + _BATCH].tolist()
        for place, (column, row) in enumerate(cells):
            batch[place] = read_input(reader, grid, column, row).transpose(2, 0, 1)
        parts.append(compiled(batch)[0][: len(cells)].copy())
    return np.concatenate(parts), grid.corners_0(plan.cells)


def scores(slides: list[Path], model: str, folder: Path) -> Values:
    """The largest cell probability of each slide by a package; 0 where nothing was classified."""
    settings = Settings()
    package = find_or_build(model, settings)
    request = RuntimeRequest("cpu", "auto", settings.cache_dir)
    found = []
    with connect(None, 2) as scheduler:
        work = Work(package, AnalysisSettings(), request, scheduler)
        for path in slides:
            final = folder / model / f"{path.stem}.zarr"
            if final.exists():
                result = Result(final)
            else:
                result = analyse_slide(prepare(path, package, work.analysis), final, work)
            found.append(result.slide_score or 0.0)
    return np.array(found, np.float64)


def trained(found: LabelledSlides, recipe: str, seed: int, folder: Path) -> tuple[Values, float]:
    """Logarithms of odds of each slide, by networks that never saw it; and seconds."""
    began = time.perf_counter()
    bags, _ = open_bags(found.slides, Silence())
    work = folder / f"{recipe}-{seed}"
    job = SlideJob(
        recipe=load_slide_recipe(recipe),
        found=found,
        bags=bags,
        seed=seed,
        folder=work,
        device=torch.device("cpu"),
        threads=1,
        observer=Silence(),
    )
    with repeatable(1):
        logits = cross_validate(job).logits.mean(axis=0)
    clear(work)
    return logits[:, 1] - logits[:, 0], round(time.perf_counter() - began, 1)


def estimate(labels: NDArray[np.int64], values: Values) -> Json:
    """AUC with its interval."""
    return _figure(labels, lambda chosen: roc_auc(labels[chosen], values[chosen]))


def difference(labels: NDArray[np.int64], one: Values, other: Values) -> Json:
    """How far one AUC is above another one of the same slides, with its interval."""
    return _figure(
        labels,
        lambda chosen: (
            roc_auc(labels[chosen], one[chosen]) - roc_auc(labels[chosen], other[chosen])
        ),
    )


def _figure(labels: NDArray[np.int64], statistic: Any) -> Json:
    found = interval(statistic, labels)
    value = statistic(np.arange(len(labels)))
    low, high = (found.low, found.high) if found else (None, None)
    return {"auc": round(value, 4), "low": low, "high": high}


def print_table(rows: list[Json]) -> None:
    """AUCs, none left out; of several seeds also their mean."""
    print(f"\n{'method':<24}{'seed':>5}  AUC (95 % interval)")
    for row in rows:
        told = f"{row['auc']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        print(f"{row['method']:<24}{row.get('seed', ''):>5}  {told}")
    for method in dict.fromkeys(row["method"] for row in rows if "seed" in row):
        aucs = [row["auc"] for row in rows if row["method"] == method]
        print(
            f"{method:<24} mean  {np.mean(aucs):.3f}, least {min(aucs):.3f}, sd {np.std(aucs):.3f}"
        )


if __name__ == "__main__":
    main()
