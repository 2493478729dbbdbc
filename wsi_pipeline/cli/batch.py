"""What ``wsi run`` does once it knows model and settings: the slides, the table, the last line.

Apart from the command itself because importing all this takes as long as loading the model, and
both can happen at once.
"""

import json as json_format
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import typer
from rich.text import Text

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.batch import run_batch
from wsi_pipeline.cli import EXIT_BAD, EXIT_OK
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.progress import RunDisplay
from wsi_pipeline.cli.quick_imports import quick_imports
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.run.inputs import expand
from wsi_pipeline.run.journal import NOT_KEPT, Journal
from wsi_pipeline.run.profile import NOT_PROFILED, Recorder
from wsi_pipeline.run.scheduler import connect, default_workers
from wsi_pipeline.run.summary import Outcome, summary_json, write_summary
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide.probe import Prober


def run_slides(
    slides: list[str],
    out: Path,
    package: ModelPackage,
    analysis: AnalysisSettings,
    request: RuntimeRequest,
    *,
    scheduler: str | None,
    workers: int | None,
    overwrite: bool,
    json: bool,
    quiet: bool,
    finish: Callable[[Path], str] = lambda _: "",
    profile: Recorder = NOT_PROFILED,
    prober: Prober | None = None,
    journal: Journal = NOT_KEPT,
) -> None:
    """Analyse ``slides`` into ``out``, keep the table there and exit with the command's code.

    ``finish`` is called with each result that is there and says what files it wrote beside it;
    where it fails, the slide counts as failed. ``profile`` is told what was done when; ``prober``
    looks at unknown files, if one was started; ``journal`` is told of slides, as of
    :func:`~wsi_pipeline.batch.run_batch`.

    Raises:
        UsageError: a name matches nothing, or no scheduler answers.
        PackageError: the model cannot be used here.
    """
    with ExitStack() as stack:
        with profile.span("start-up", "find the slides"):
            prober = prober or stack.enter_context(Prober())
            inputs = expand(slides)
            out.mkdir(parents=True, exist_ok=True)
        outcomes = [Outcome(str(path), "failed", f"{path}: {why}") for path, why in inputs.problems]
        display = stack.enter_context(RunDisplay(len(inputs.slides), quiet=quiet))
        regions = workers or default_workers(resolve_device(request.device))
        with profile.span("start-up", "find the workers"), quick_imports():
            where = stack.enter_context(connect(scheduler, regions))
        for outcome in outcomes:
            display.ended(outcome)
        work = Work(package, analysis, request, where, profile)
        for outcome in run_batch(
            inputs.slides,
            out,
            work,
            display,
            overwrite=overwrite,
            prober=prober,
            finish=finish,
            journal=journal,
        ):
            outcomes.append(outcome)
            with profile.span("write", "write the table"):
                write_summary(out, outcomes, inputs.ignored)
    write_summary(out, outcomes, inputs.ignored)
    _conclude(outcomes, inputs.ignored, out, package, json=json, quiet=quiet)


def _conclude(
    outcomes: list[Outcome],
    ignored: tuple[Path, ...],
    out: Path,
    package: ModelPackage,
    *,
    json: bool,
    quiet: bool,
) -> None:
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    if json:
        sys.stdout.write(json_format.dumps(summary_json(outcomes, ignored)) + "\n")
    if not quiet:
        counts = {
            status: sum(o.status == status for o in outcomes)
            for status in ("done", "skipped", "failed")
        }
        text = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        extra = f"; {len(ignored)} other files skipped (named in summary.json)" if ignored else ""
        console.print(
            f"{text or 'nothing to do'}{extra}. Table: {out / 'summary.csv'}", soft_wrap=True
        )
        about = package.description
        if about.notice:
            words = f"! {about.name} {about.version}: {about.notice}{_worth(about)}"
            console.print(Text(words, "yellow"), soft_wrap=True)
    raise typer.Exit(EXIT_BAD if failed else EXIT_OK)


def _worth(about: ModelDescription) -> str:
    """What a model says of its own figures, for the end of a run."""
    figures = about.training.metrics
    auc = figures.get("held_out_patch_auc")
    if auc is None:
        return ""
    low, high = (figures.get(f"another_slide_auc_{end}") for end in ("low", "high"))
    expected = "" if low is None or high is None else f", {low:.2f} to {high:.2f} on another slide"
    return (
        f". Patch AUC {auc:.3f} on patches it was not fitted on{expected}; "
        f"`wsi models show {about.name}` says more"
    )
