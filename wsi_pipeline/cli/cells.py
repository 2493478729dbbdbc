"""``wsi cells``: the cells of smear fields, found, classified and counted."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wsi_pipeline.analysis_settings import PrecisionChoice
from wsi_pipeline.cli import EXIT_BAD, EXIT_OK
from wsi_pipeline.cli.analysis_options import DeviceOption, RuntimeOption
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.model_search import find_model
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest, resolve_device
from wsi_pipeline.settings import Settings

_HOW, _FINDER = "Computing", "Finding cells"


def cells(
    fields: Annotated[
        list[str],
        typer.Argument(
            help="Smear fields: image files, folders (with subfolders) or glob patterns.",
            metavar="FIELD...",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Model package that classifies white cells: its folder, or a name; see `wsi "
            "models list`. Without one cells are found and not classified."
        ),
    ] = None,
    coverage: Annotated[
        float,
        typer.Option(
            help="Share of the cells whose prediction set shall hold the true class, 0-1."
        ),
    ] = 0.9,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Measure the shape of each white cell, and draw what was measured."
        ),
    ] = False,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="CSV of boxes that people drew: image, label (WBC, RBC, Platelets), xmin, ymin, "
            "xmax, ymax. Precision and recall are computed.",
        ),
    ] = None,
    red_cell_px: Annotated[
        float | None,
        typer.Option(
            help="Diameter of a usual red cell, px. [dim]\\[default: found in each field][/]",
            min=4,
            rich_help_panel=_FINDER,
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            help="auto: fast, with the same predicted class as fp32; its probabilities differ a "
            "little.",
            rich_help_panel=_HOW,
        ),
    ] = "fp32",
    runtime: RuntimeOption = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Analyse fields again that were finished.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON on standard output.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print failed fields only, and no progress.")
    ] = False,
) -> None:
    """Find the cells of stained smear fields; classify white cells and count their differential.

    [bold]OUT/cells.csv[/] and [bold]OUT/cells.parquet[/] have one row per cell with its box in px
    of the field, [bold]OUT/fields.csv[/] one per field, [bold]OUT/differential.csv[/] the share of
    each kind of white cell with its 95 % interval, [bold]OUT/fields/NAME.png[/] the field with its
    boxes, [bold]OUT/report.html[/] all of it. A field that fails does not stop the others. Started
    again, a run continues.

    [bold]Examples[/]

        wsi cells smears/ -o results --model my-cells

    How well cells are found, compared with boxes that people drew:

        wsi cells smears/ -o results --truth boxes.csv

    Exit codes: 0 success, 3 some field failed, 2 wrong usage.
    """
    from wsi_pipeline.cells.truth import read_truth  # noqa: PLC0415 - scipy takes a second

    boxes = None if truth is None else read_truth(truth)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder for the results")
    if not 0 < coverage < 1:
        raise UsageError(f"--coverage {coverage:g}: it is above 0 and below 1, 0.9 for instance")
    resolve_device(device)  # a wrong name is told before anything is loaded
    package = None
    if model is not None:
        settings = Settings()
        package = find_model(model, settings, quiet=quiet)
        request = RuntimeRequest(device, precision, settings.cache_dir, runtime=runtime)
    from wsi_pipeline.cells.analysis import Analysis  # noqa: PLC0415 - see above
    from wsi_pipeline.cells.classical import ClassicalFinder, ClassicalSettings  # noqa: PLC0415
    from wsi_pipeline.cells.fields import find_fields  # noqa: PLC0415
    from wsi_pipeline.cells.run import Boxes, run_fields  # noqa: PLC0415
    from wsi_pipeline.cli.cells_display import CellsDisplay  # noqa: PLC0415

    finder = ClassicalFinder(ClassicalSettings(red_cell_px=red_cell_px))
    analysis = Analysis(finder, measured=measure)
    if package is not None:
        analysis = _classifying(package, request, finder, coverage, measured=measure)
    with CellsDisplay(quiet=quiet) as display:
        summary = run_fields(
            find_fields(fields, out),
            out,
            analysis,
            display,
            boxes=None if truth is None or boxes is None else Boxes(truth, boxes),
            overwrite=overwrite,
        )
    _conclude(summary, out, json=json, quiet=quiet)


def _classifying(
    package: ModelPackage, request: RuntimeRequest, finder: Any, coverage: float, *, measured: bool
) -> Any:
    """The analysis with a loaded model."""
    from wsi_pipeline.cells.analysis import Analysis  # noqa: PLC0415 - scipy takes a second
    from wsi_pipeline.cells.classification import CellClassifier, check  # noqa: PLC0415
    from wsi_pipeline.images.verdict import Judge  # noqa: PLC0415

    about = package.description
    check(about)
    predictor = LOADED.predictor(
        package.folder.resolve(), package.sha256, request, about.threshold.value
    )
    model = {
        "name": about.name,
        "version": about.version,
        "sha256": package.sha256,
        "classes": list(about.classification.names),
        "notice": about.notice,
        "made_for_images": about.images is not None,
        "runtime": predictor.info.kind,
    }
    judge = Judge(package, coverage)
    if judge.limit is not None:
        model["coverage"] = coverage
    return Analysis(finder, CellClassifier(predictor, about, judge), model, measured=measured)


def _conclude(summary: dict[str, Any], out: Path, *, json: bool, quiet: bool) -> None:
    if json:
        sys.stdout.write(json_format.dumps(summary) + "\n")
    if not quiet:
        counts = {
            "done": summary["done"],
            "skipped": summary["skipped"],
            "failed": len(summary["failed"]),
        }
        words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        console.print(f"{words or 'nothing to do'}. Page: {out / 'report.html'}", soft_wrap=True)
        for line in _figures(summary):
            console.print(line, soft_wrap=True, highlight=False)
    raise typer.Exit(EXIT_BAD if summary["failed"] else EXIT_OK)


def _figures(summary: dict[str, Any]) -> list[str]:
    lines = [
        f"  {one['label']:<20}{one['count']:>6,}  "
        f"{one['share']:.1%} (95 % {one['low']:.1%} to {one['high']:.1%})"
        for one in summary["differential"]
        if one["share"] is not None
    ]
    for one in (summary["truth"] or {"kinds": ()})["kinds"]:
        figures = ", ".join(f"{name} {_estimate(one[name])}" for name in ("precision", "recall"))
        lines.append(f"  {one['kind']:<10} {figures}; {one['drawn']:,} drawn")
    return lines


def _estimate(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    if estimate["low"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
