"""``wsi train --slide-level``: results of slides whose class is known become a package's answer."""

import json as json_format
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import typer

from wsi_pipeline import durable
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cli import EXIT_BAD
from wsi_pipeline.cli.console import console
from wsi_pipeline.errors import UsageError
from wsi_pipeline.evaluation.cases import find_results
from wsi_pipeline.evaluation.slide_names import listed, slide_key
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.package_copy import check_place
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.inputs import expand
from wsi_pipeline.settings import Settings
from wsi_pipeline.training.folders import report_path
from wsi_pipeline.training.slide_level.fit import SlideOrder, fit_package
from wsi_pipeline.training.slide_level.page import slide_level_page
from wsi_pipeline.training.slide_level.table import Grouping, LabelledSlide, read_labelled


def fit_slide_level(
    model: str,
    place: Path,
    table: Path,
    order: SlideOrder,
    *,
    grouping: Grouping | None,
    negative: str | None,
    json: bool,
    quiet: bool,
) -> None:
    """Find or make the results, fit, write package and report.

    Args:
        model: The package, by folder or name.
        place: Folder of results, or of slides.
        table: Slides, labels, patients, splits.
        order: What is asked for.
        grouping: See :func:`~wsi_pipeline.training.slide_level.table.read_labelled`.
        negative: See there.
        json: Print the report as JSON.
        quiet: Print errors only.

    Raises:
        UsageError: something is in the way.
        WsiError: results or table cannot be used.
    """
    check_place(order.out, overwrite=order.overwrite)
    labelled = read_labelled(table, grouping=grouping, negative=negative)
    settings = Settings()
    with nullcontext() if quiet else console.status("loading the model"):
        package = find_or_build(model, settings, lambda _: None)
    more = order.out.with_name(f"{order.out.name}.results")
    found = _results(place, more)
    missing = [slide for slide in labelled.slides if slide_key(slide.name) not in found]
    paths = _paths(missing, place)
    if paths:
        _analyse(paths, more, package, settings, quiet=quiet)
        found = _results(place, more)
    chosen = [
        (slide, found[slide_key(slide.name)])
        for slide in labelled.slides
        if slide_key(slide.name) in found
    ]
    without = [slide.name for slide in labelled.slides if slide_key(slide.name) not in found]
    report = fit_package(package, labelled, chosen, order)
    report["without_result"] = without
    written = report_path(order.out)
    text = json_format.dumps(report, indent=1, allow_nan=False) + "\n"
    durable.write_text(written, text)
    durable.write_text(written.with_suffix(".html"), slide_level_page(report))
    if without and not quiet:
        console.print(f"! without a result, so not fitted to: {listed(without)}", style="yellow")
    if json:
        sys.stdout.write(json_format.dumps(report) + "\n")
    elif not quiet:
        _say(report, written)


def _results(place: Path, more: Path) -> dict[str, Path]:
    """Result stores below both folders, by the key of their slide."""
    found: dict[str, Path] = {}
    for folder in (place, more):
        if folder.exists() and any(folder.rglob("*.zarr*")):
            found |= {key: path for key, (_, path) in find_results([folder]).items()}
    return found


def _paths(missing: Sequence[LabelledSlide], place: Path) -> list[str]:
    """Files of the slides without a result: as the table names them, or by name in the folder."""
    if not missing:
        return []
    if not place.exists():
        raise UsageError(f"{place}: there is no such folder of results or slides")
    lying = {slide_key(entry.path.name): entry.path for entry in expand([str(place)]).slides}
    named = (slide.path or lying.get(slide_key(slide.name)) for slide in missing)
    return [str(path) for path in named if path is not None and path.exists()]


def _analyse(
    paths: list[str], out: Path, package: ModelPackage, settings: Settings, *, quiet: bool
) -> None:
    """Run the package on slides; those that fail are named, and left out."""
    # Loads what computes, which fitting to results that are there does not need.
    from wsi_pipeline.cli.batch import run_slides  # noqa: PLC0415

    try:
        run_slides(
            paths,
            out,
            package,
            AnalysisSettings(),
            RuntimeRequest("auto", "auto", settings.cache_dir),
            scheduler=None,
            workers=None,
            overwrite=False,
            json=False,
            quiet=quiet,
        )
    except typer.Exit as ended:
        if ended.exit_code not in (0, EXIT_BAD):
            raise


def _say(report: dict[str, object], written: Path) -> None:
    """The headline."""
    figures, rule = report["figures"], report["section"]["rule"]  # type: ignore[index]  # JSON
    lines = [f"{report['package']} {report['version']}"]
    for name, words in (("auc", "AUC of the fit"), ("auc_max", "AUC of the largest cell")):
        one = figures[name]  # type: ignore[index]  # JSON
        lines.append(f"  {words:<24}{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})")
    clear, suspicious = rule["clear_below"], rule["suspicious_from"]
    lines.append(
        f"  no slide can be called clear: at least {rule['needed']} slides below a limit are needed"
        if clear is None
        else f"  clear below {clear:.3g}: at most {100 * rule['alpha']:g} % of such slides are "
        f"positive, with {100 * (1 - rule['delta']):g} % confidence"
    )
    if suspicious is not None:
        lines.append(f"  suspicious from {suspicious:.3g} on")
    lines.append(f"  report: {written.with_suffix('.html')}")
    sys.stdout.write("\n".join(lines) + "\n")
