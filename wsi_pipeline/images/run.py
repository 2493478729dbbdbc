"""One run over a collection: answers, verdicts, the table, the figures and the page."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from wsi_pipeline import durable
from wsi_pipeline.errors import ResultError
from wsi_pipeline.images.classification import (
    Answer,
    Outcome,
    check_answers_classes,
    check_layers,
    classify,
)
from wsi_pipeline.images.collection import Collection, LabelledImage
from wsi_pipeline.images.conformal import USUAL_COVERAGE
from wsi_pipeline.images.evaluation import evaluate
from wsi_pipeline.images.explanation.plan import FOLDER, drawn_pictures, with_pictures
from wsi_pipeline.images.familiarity import Familiarity
from wsi_pipeline.images.journal import Journal
from wsi_pipeline.images.report.page import report_page
from wsi_pipeline.images.seen import seen_of
from wsi_pipeline.images.table import EMBEDDINGS, PARQUET, Row, earlier_answers, write_tables
from wsi_pipeline.images.verdict import Judge
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.shift.comparison import LEVEL

SUMMARY, REPORT = "summary.json", "report.html"


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What is wanted beside the answers.

    Attributes:
        top: Most likely classes that have columns of their own.
        coverage: Share of the images whose prediction set shall hold the true class.
        explain: Whether to draw what each answer rests on.
        embed: Whether to keep features and draw the map of the data.
        overwrite: Whether what an earlier run left counts for nothing.
    """

    top: int = 3
    coverage: float = USUAL_COVERAGE
    explain: bool = False
    embed: bool = False
    overwrite: bool = False


class Observer(Protocol):
    """Told of a run."""

    def stage(self, name: str, total: int) -> None:
        """Something begins that has so many parts."""
        ...

    def advanced(self, parts: int) -> None:
        """So many parts are done."""
        ...

    def failed(self, error: str) -> None:
        """An image, or a row of the table, cannot be used."""
        ...


def run_images(
    collection: Collection,
    out: Path,
    package: ModelPackage,
    runtime: RuntimeRequest,
    settings: ImageSettings,
    observer: Observer,
) -> dict[str, Any]:
    """Classify a collection into ``out``; a run that was interrupted goes on.

    Args:
        collection: The images.
        out: Folder for the results; made if it is missing.
        package: The model.
        runtime: What to compute with.
        settings: What is wanted.
        observer: Told of what happens.

    Returns:
        The contents of ``summary.json``.

    Raises:
        PackageError: the model cannot be used here, or does not answer with classes.
        ResultError: ``out`` holds results of another model, finished or not, or of other images.
        ResultBusyError: another process writes there.
    """
    began = time.perf_counter()
    about = package.description
    check_answers_classes(about, package.name)
    for wanted, option in ((settings.explain, "--explain"), (settings.embed, "--embed")):
        if wanted:
            check_layers(package, option)
    collection = without_folder_names(collection, about.classification.names)
    out.mkdir(parents=True, exist_ok=True)
    predictor = LOADED.predictor(
        package.folder.resolve(), package.sha256, runtime, about.threshold.value
    )
    key = {
        "name": f"{about.name} {about.version}",
        "model": package.sha256,
        "runtime": predictor.info.kind,
        **({"tta": True} if runtime.tta else {}),
    }
    images = _outside(collection, out)
    for problem in collection.problems:
        observer.failed(problem)
    with Journal(out, key, overwrite=settings.overwrite) as journal:
        if settings.overwrite and not journal.answers:
            _remove(out)
        earlier = _earlier(out, key, images)
        known = earlier | journal.answers
        observer.stage("classifying", len(images))
        outcomes = _answers(images, predictor, package, known, journal, observer)
        judge = Judge(package, settings.coverage)
        rows = [
            Row(one, None if one.answer is None else judge(one.answer.probabilities))
            for one in outcomes
        ]
        method = _explained(rows, out, package, runtime, observer) if settings.explain else None
        rows = with_pictures(rows, out)
        write_tables(out, rows, about.classification.names, settings.top, key)
        summary = _summary(collection, package, predictor, judge, settings, rows)
        summary["explained_by"] = method
        summary["reused"] = sum(
            one.answer is not None and one.answer.sha256 in known for one in outcomes
        )
        summary["seconds"] = round(time.perf_counter() - began, 2)
        more = _map(rows, out, package, runtime, observer) if settings.embed else ""
        durable.write_text(out / REPORT, report_page(summary, rows, about.classification, more))
        durable.write_text(out / SUMMARY, json.dumps(summary, indent=1) + "\n")
        journal.discard()
    return summary


def without_folder_names(collection: Collection, classes: Sequence[str]) -> Collection:
    """A folder's inner folders are labels only where one of them is named like a class.

    Else they are there for order, and what they are called says nothing.

    Args:
        collection: As it was read.
        classes: Names of the model's.
    """
    if not collection.origin.is_dir():
        return collection

    def folder(image: LabelledImage) -> str | None:
        inner = image.path.relative_to(collection.origin).parts
        return inner[0] if len(inner) > 1 else None

    if any(folder(image) in classes for image in collection.images):
        return collection
    images = tuple(
        replace(one, label=None) if one.label == folder(one) else one for one in collection.images
    )
    return replace(collection, images=images)


def _outside(collection: Collection, out: Path) -> list[LabelledImage]:
    """The images but for the pictures that a run drew: results may lie in the folder of images."""
    own = (out / FOLDER).resolve()
    return [one for one in collection.images if own not in one.path.resolve().parents]


def _explained(
    rows: Sequence[Row],
    out: Path,
    package: ModelPackage,
    runtime: RuntimeRequest,
    observer: Observer,
) -> str:
    """Draws what is missing; says by which method."""
    # Imported here: this needs torch, classifying with OpenVINO does not.
    from wsi_pipeline.images.explanation.explainer import load_explainer  # noqa: PLC0415
    from wsi_pipeline.images.explanation.pictures import draw_missing  # noqa: PLC0415

    explainer = load_explainer(package, resolve_device(runtime.device))
    observer.stage("explaining", len(rows))
    for done in draw_missing(rows, out, explainer, package.description):
        observer.advanced(done)
    return explainer.method


def _map(
    rows: Sequence[Row],
    out: Path,
    package: ModelPackage,
    runtime: RuntimeRequest,
    observer: Observer,
) -> str:
    """Computes the features that are missing; the sections of the map."""
    # Imported here: this needs torch and UMAP, classifying does not.
    from wsi_pipeline.images.data_map import draw_map  # noqa: PLC0415
    from wsi_pipeline.images.embedding import Embeddings  # noqa: PLC0415
    from wsi_pipeline.images.report.data_map import map_sections  # noqa: PLC0415

    embeddings = Embeddings(out, package, resolve_device(runtime.device))
    observer.stage("computing features", len(rows))
    for done in embeddings.compute(rows):
        observer.advanced(done)
    observer.stage("drawing the map", 1)
    return map_sections(draw_map(rows, embeddings.found), package.classes)


def _mean_spread(answers: Sequence[Answer]) -> float | None:
    """Of the images' orientations; None where each was looked at in one."""
    known = [one.spread for one in answers if one.spread is not None]
    return round(sum(known) / len(known), 6) if known else None


def _remove(out: Path) -> None:
    """What an earlier run left, so that nothing of it is taken for this one's."""
    for name in (PARQUET, EMBEDDINGS):
        (out / name).unlink(missing_ok=True)
    for picture in drawn_pictures(out):
        picture.unlink()


def _earlier(out: Path, key: dict[str, Any], images: Sequence[LabelledImage]) -> dict[str, Answer]:
    answers, names = earlier_answers(out, key)
    given = {str(image.path.resolve()) for image in images}
    if names and not any(str(Path(name).resolve()) in given for name in names):
        raise ResultError(
            out / PARQUET,
            f"is of {len(names):,} other images; use another -o, or --overwrite to replace it",
        )
    return answers


def _answers(
    images: Sequence[LabelledImage],
    predictor: Predictor,
    package: ModelPackage,
    known: dict[str, Answer],
    journal: Journal,
    observer: Observer,
) -> list[Outcome]:
    outcomes = []
    finished = set(known)
    try:
        familiarity = Familiarity(package, predictor)
        for outcome in classify(images, predictor, package.description, known, familiarity):
            outcomes.append(outcome)
            observer.advanced(1)
            if outcome.answer is None:
                observer.failed(outcome.error)
            elif outcome.answer.sha256 not in finished:
                journal.keep(outcome.answer)
    finally:
        journal.flush()
    return outcomes


def _unlike(answers: Sequence[Answer]) -> dict[str, Any] | None:
    """How many images are unlike the training images; None where the package cannot tell."""
    known = [answer for answer in answers if answer.p_value is not None]
    if not known:
        return None
    return {
        "compared": len(known),
        "unlike": sum(bool(one.unlike) for one in known),
        "level": LEVEL,
    }


def _summary(
    collection: Collection,
    package: ModelPackage,
    predictor: Predictor,
    judge: Judge,
    settings: ImageSettings,
    rows: Sequence[Row],
) -> dict[str, Any]:
    about = package.description
    verdicts = [row.verdict for row in rows if row.verdict is not None]
    answers = [row.outcome.answer for row in rows if row.outcome.answer is not None]
    seen = seen_of(package, [answer.sha256 for answer in answers])
    called = dict.fromkeys(about.classification.names, 0)
    for verdict in verdicts:
        for name in verdict.called:
            called[name] += 1
    return {
        "program": f"wsi-pipeline {metadata.version('wsi-pipeline')}",
        "images": str(collection.origin),
        "done": len(verdicts),
        "failed": [row.outcome.error for row in rows if row.verdict is None],
        "problems": list(collection.problems),
        "predicted": called,
        "review": None if judge.unavailable else sum(bool(one.review) for one in verdicts),
        "review_unavailable": judge.unavailable or None,
        "unlike_training": _unlike(answers),
        "coverage": None if judge.unavailable else settings.coverage,
        "least_probability_in_set": judge.limit,
        "model": {
            "name": about.name,
            "version": about.version,
            "sha256": package.sha256,
            "classes": list(about.classification.names),
            "positive": about.positive,
            "task": about.task,
            "notice": about.notice,
            "made_for_images": about.images is not None,
        },
        "seen": None if seen is None else {**asdict(seen), "told": str(seen)},
        "runtime": predictor.info.to_json(),
        "spread": _mean_spread(answers),
        "evaluation": evaluate(rows, about.classification, settings.coverage),
    }
