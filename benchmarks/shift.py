"""How well own and foreign data are told apart by their distance from the training data.

``python -m benchmarks.shift images DATA --work FOLDER``: models of blood cells of one laboratory,
asked about held-out cells of their own and about the other laboratory's; and models of H&E
patches likewise. ``python -m benchmarks.shift slides --work FOLDER``: a tile model of synthetic
slides of laboratory a, asked about held-out slides of its own and about those of b and c.

Writes one JSON line per pair: area under the curve of the distance, share of own ones that raise
the alarm, share of foreign ones that do.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cohort import Cohort, CohortSlide
from wsi_pipeline.cohort.table import Split
from wsi_pipeline.images.classification import Answer, classify
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.images.familiarity import Familiarity
from wsi_pipeline.metrics.ranking import roc_auc
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.shift_record import ShiftRecord
from wsi_pipeline.synth import SynthSpec, parse_size, truth_paths, write_slide
from wsi_pipeline.training.command import train_cohort, train_images
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.request import Order
from wsi_pipeline.training.run import Silence

_BLOOD = {"1": "Neutrophil", "2": "Lymphocyte", "3": "Monocyte", "4": "Eosinophil"}
#: Slides of the synthetic cohort: of laboratory a trained on, validated on and kept; of the others.
_TRAIN, _VALIDATION, _KEPT, _FOREIGN = 8, 4, 20, 10
_SIZE = "3072x2560"


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["images", "slides"])
    parser.add_argument("data", type=Path, nargs="?", help="folder with blood/ and patches/")
    parser.add_argument("--work", type=Path, default=Path("build/bench-shift"))
    parser.add_argument("--pairs", default="wbc:bccd,bccd:wbc", help="OWN:FOREIGN, …")
    parser.add_argument("--recipe", default="baseline-logistic")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.what == "slides":
        slides(arguments.work)
        return
    for pair in arguments.pairs.split(","):
        own, foreign = pair.split(":")
        images(arguments.data, own, foreign, arguments.recipe, arguments.work)


def images(data: Path, own: str, foreign: str, recipe: str, work: Path) -> None:
    """A model of one set of images, asked about held-out ones and about another set."""
    table = _table(data, own, work)
    package = _trained(table, own, recipe, work)
    seen = package.seen()
    assert seen is not None
    known = set(np.concatenate(list(seen.values())).tolist())
    answers = _answers(package, table, work)
    kept = [one for one in answers if int(one.sha256[:16], 16) not in known]
    others = _answers(package, _table(data, foreign, work), work)
    _tell(
        own,
        foreign,
        [one.distance for one in kept],
        [one.distance for one in others],
        [bool(one.unlike) for one in kept],
        [bool(one.unlike) for one in others],
    )


def _table(data: Path, name: str, work: Path) -> Path:
    """A table of a set's images and labels."""
    if name == "wbc":
        labels = (data / "blood/wbc/labels.csv").read_text(encoding="utf-8").splitlines()[1:]
        rows = [
            (data / f"blood/wbc/{int(number):03d}.bmp", _BLOOD[label])
            for number, label in (row.split(",") for row in labels)
            if label in _BLOOD
        ]
    else:
        folder = data / ("blood" if name == "bccd" else "patches") / name
        rows = [(file, file.parent.name) for file in sorted(folder.glob("*/*"))]
        # The other set has too few basophils to train on.
        rows = [row for row in rows if row[1] != "Basophil"]
    path = work / f"{name}.csv"
    lines = [f"{file.resolve()},{label}" for file, label in rows if file.suffix != ".csv"]
    path.write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    return path


def _order(recipe: str, out: Path, *changes: str) -> Order:
    return Order(
        recipe=load_recipe(recipe, changes),
        out=out,
        name=out.name,
        version="1",
        licence="none",
        seed=1,
        folds=0,
        search=(),
        skip_bad=True,
        threads=2,
        device="cpu",
    )


def _trained(table: Path, name: str, recipe: str, work: Path) -> ModelPackage:
    out = work / name
    labels = {row.rpartition(",")[2] for row in table.read_text().splitlines()[1:]}
    # Of two classes one has to be the positive one; which, does not matter here.
    positive = max(labels) if len(labels) == 2 else None
    train_images(table, _order(recipe, out), Silence(), positive=positive)
    return load_package(out)


def _answers(package: ModelPackage, table: Path, work: Path) -> list[Answer]:
    request = RuntimeRequest("cpu", "fp32", work / "cache", head=package.run_head)
    predictor = load_predictor(package, request, threshold=package.description.threshold.value)
    familiarity = Familiarity(package, predictor)
    found = read_collection(table, skip_bad=True).images
    outcomes = list(classify(found, predictor, package.description, None, familiarity))
    predictor.close()
    return [one.answer for one in outcomes if one.answer is not None]


def slides(work: Path) -> None:
    """A tile model of synthetic slides of one laboratory, asked about three."""
    cohort = _cohort(work)
    order = _order(
        "linear-probe",
        work / "slides-model",
        "patch_px=128",
        "mpp=0.5",
        "init=efficientnet-lite0",
        "architecture.name=tf_efficientnet_lite0",
        "architecture.pooling=network",
        "normalisation.mean=[127, 127, 127]",
        "normalisation.std=[128, 128, 128]",
        "sampling.patches=512",
        "sampling.validation_patches=256",
    )
    train_cohort(cohort, order, Silence())
    package = load_package(order.out)
    request = RuntimeRequest("cpu", "fp32", work / "cache", head=package.run_head)
    own = [slide.path for slide in cohort if slide.split == "test" and slide.path is not None]
    asked = {"a": own, "b": _drawn(work, "b"), "c": _drawn(work, "c")}
    found: dict[str, list[ShiftRecord]] = {}
    with connect(None, 1) as scheduler:
        run = Work(package, AnalysisSettings(), request, scheduler)
        for name, paths in asked.items():
            for path in paths:
                prepared = prepare(path, package, run.analysis)
                out = work / "results" / f"{name}-{path.stem}.zarr"
                record = analyse_slide(prepared, out, run, overwrite=True).record
                assert record.shift is not None
                found.setdefault(name, []).append(record.shift)
                prepared.reader.close()
    for foreign in ("b", "c"):
        parts = [found["a"], found[foreign]]
        distances = [[one.distance for one in part] for part in parts]
        alarms = [[_unlike(one) for one in part] for part in parts]
        names = "slides a", f"slides {foreign}"
        _tell(*names, distances[0], distances[1], alarms[0], alarms[1])


def _unlike(one: ShiftRecord) -> bool:
    return one.p_value is not None and one.p_value <= one.level


def _drawn(work: Path, stain: str) -> list[Path]:
    """Slides of a laboratory; drawn where they are not there."""
    counts = {"a": _TRAIN + _VALIDATION + _KEPT}
    first = {"a": 500, "b": 600, "c": 700}[stain]
    paths = [work / stain / f"synth_{first + i}.tiff" for i in range(counts.get(stain, _FOREIGN))]
    for seed, path in enumerate(paths, start=first):
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            spec = SynthSpec(size=parse_size(_SIZE), seed=seed, stain=stain, tumour=0.25)
            write_slide(spec, path)
    return paths


def _cohort(work: Path) -> Cohort:
    counts: dict[Split, int] = {"train": _TRAIN, "validation": _VALIDATION, "test": _KEPT}
    splits = [split for split, count in counts.items() for _ in range(count)]
    return Cohort(
        tuple(
            CohortSlide(
                name=path.stem,
                label="tumour",
                patient=path.stem,
                split=split,
                annotated="full",
                path=path,
                truth=truth_paths(path)[1],
                truth_kind="asap",
            )
            for path, split in zip(_drawn(work, "a"), splits, strict=True)
        )
    )


def _tell(
    own: str,
    foreign: str,
    kept: Sequence[float | None],
    others: Sequence[float | None],
    false_alarms: Sequence[bool],
    alarms: Sequence[bool],
) -> None:
    distances = np.array([*kept, *others], np.float64)
    truth = np.repeat([False, True], [len(kept), len(others)])
    facts: dict[str, Any] = {
        "own": own,
        "foreign": foreign,
        "own_held_out": len(kept),
        "foreign_asked": len(others),
        "auc": round(float(roc_auc(truth, distances)), 4),
        "false_alarms": round(float(np.mean(false_alarms)), 4),
        "alarms": round(float(np.mean(alarms)), 4),
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
