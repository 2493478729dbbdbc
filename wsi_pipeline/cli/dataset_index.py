"""``wsi dataset index``: from folders of slides and annotations to a checked table."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.dataset_display import (
    bar,
    plain,
    print_json,
    say_written,
    show_counts,
    show_ignored,
)
from wsi_pipeline.cli.drawings import fetch_drawings
from wsi_pipeline.cli.remote import Remote, Token, TokenFile
from wsi_pipeline.cohort.indexing import Indexed
from wsi_pipeline.cohort.indexing import index as index_folder
from wsi_pipeline.cohort.options import IndexOptions
from wsi_pipeline.cohort.pairing import Prefer
from wsi_pipeline.cohort.summary import to_json
from wsi_pipeline.cohort.table import write_cohort
from wsi_pipeline.errors import UsageError

_EXIT_BAD = 3
_TRUTH, _FACTS = "Annotations and masks", "Labels, patients, centres"


def index(
    folder: Annotated[
        Path, typer.Argument(help="Searched for slides, masks and annotations.", metavar="DIR")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The cohort table.", metavar="COHORT.csv")
    ],
    *,
    annotations: Annotated[
        list[Path] | None,
        typer.Option(help="Another folder of annotations.", metavar="DIR", rich_help_panel=_TRUTH),
    ] = None,
    drawings_from: Annotated[
        str | None,
        typer.Option(
            help="Address of a service: what people drew on slides of these names is fetched into "
            "[bold]COHORT.drawings[/]. The key is in the address, or is given as below.",
            metavar="URL",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    token: Token = None,
    token_file: TokenFile = None,
    masks: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another folder of masks; every TIFF there is one.",
            metavar="DIR",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    mask_value: Annotated[
        int | None,
        typer.Option(
            help="Value of tumour in masks: 255, 2 or 1; must be declared.",
            metavar="N",
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    prefer: Annotated[
        Prefer | None,
        typer.Option(
            help="What to use if a slide has several. [dim]\\[default: the annotation][/]",
            show_default=False,
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    tumour_class: Annotated[
        list[str] | None,
        typer.Option(
            help="A group (ASAP) or class (QuPath) that is tumour; may be repeated. "
            "[dim]\\[default: Tumor, metastases, _0, _1 and similar][/]",
            metavar="NAME",
            show_default=False,
            rich_help_panel=_TRUTH,
        ),
    ] = None,
    annotated: Annotated[
        Literal["full", "partial"],
        typer.Option(
            help="Whether annotations outline every tumour; CAMELYON16's exceptions are known.",
            rich_help_panel=_TRUTH,
        ),
    ] = "full",
    allow_unannotated: Annotated[
        bool,
        typer.Option(
            "--allow-unannotated",
            help="Accept tumour slides without annotation or mask.",
            rich_help_panel=_TRUTH,
        ),
    ] = False,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Table of labels by slide, such as CAMELYON's reference.csv; may also hold "
            "patient, centre, split and annotation.",
            metavar="CSV",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    labels_from: Annotated[
        Literal["annotation"] | None,
        typer.Option(
            help="Label annotated slides by whether tumour is outlined.", rich_help_panel=_FACTS
        ),
    ] = None,
    patient_from: Annotated[
        str | None,
        typer.Option(
            help="Pattern that finds the patient in a slide's path below DIR: its group.",
            metavar="REGEX",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    centre_from: Annotated[
        str | None,
        typer.Option(
            "--centre-from",
            "--center-from",
            help="Pattern that finds the centre in the same way.",
            metavar="REGEX",
            rich_help_panel=_FACTS,
        ),
    ] = None,
    centre: Annotated[
        str,
        typer.Option(
            "--centre",
            "--center",
            help="Centre of all slides.",
            metavar="NAME",
            rich_help_panel=_FACTS,
        ),
    ] = "",
    plain_names: Annotated[
        bool,
        typer.Option(
            "--plain-names",
            help="Ignore what names like CAMELYON's (normal_001) say.",
            rich_help_panel=_FACTS,
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Find slides, masks and annotations, pair them by name, check all, and write a table.

    Each slide is opened and its annotation compared with it. All problems are listed, and then no
    table is written: files without a slide, names that occur twice, annotations outside their
    slide, damaged files, labels that contradict an annotation.

    [bold]Examples[/]

    Synthetic slides; the folders are patients, the stain is the centre:

        wsi dataset index slides -o cohort.csv --patient-from "^[^/]+"

    CAMELYON16 as downloaded, whose masks have tumour as 2:

        wsi dataset index CAMELYON16 -o cohort.csv --mask-value 2 --labels reference.csv

    QuPath annotations whose tumour class has another name:

        wsi dataset index slides -o cohort.csv --labels list.csv --tumour-class "Invasive carcinoma"

    What was drawn in the service's viewer, on slides of the folder:

        wsi dataset index slides -o cohort.csv --drawings-from http://127.0.0.1:8000

    Exit codes: 0 written, 2 wrong usage or an unusable table of labels, 3 a slide or an annotation
    has to be corrected first.
    """
    if output.exists() and not overwrite:
        raise UsageError(f"{output} already exists; pass --overwrite to replace it")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to write {output.name} to")
    further = list(annotations or ())
    if drawings_from is not None:
        remote = Remote(drawings_from, token, token_file, json=json)
        further.append(fetch_drawings(remote, folder, output, overwrite=overwrite))
    options = IndexOptions(
        labels=labels,
        masks=tuple(masks or ()),
        annotations=tuple(further),
        mask_value=mask_value,
        prefer=prefer,
        tumour_classes=tuple(tumour_class or ()),
        labels_from_annotation=labels_from == "annotation",
        annotated=annotated,
        allow_unannotated=allow_unannotated,
        patient_from=patient_from,
        centre_from=centre_from,
        centre=centre,
        plain_names=plain_names,
    )
    with bar("slides") as progress:
        found = index_folder(folder, options, progress)
    if found.problems:
        _refuse(found, output, json=json)
    cohort = found.cohort()
    write_cohort(cohort, output)
    if json:
        print_json({**to_json(cohort), "problems": [], "notes": list(found.notes)})
        return
    show_counts(cohort)
    for note in found.notes:
        Console().print(f"[dim]· {plain(note)}[/]", highlight=False, soft_wrap=True)
    show_ignored(found)
    say_written(output, len(cohort))


def _refuse(found: Indexed, output: Path, *, json: bool) -> None:
    if json:
        print_json({"problems": list(found.problems), "notes": list(found.notes)})
    for problem in found.problems:
        console.print(f"[red]✗[/] {plain(problem)}", highlight=False, soft_wrap=True)
    show_ignored(found)
    count = len(found.problems)
    console.print(
        f"{count} {'problem' if count == 1 else 'problems'}; {plain(output)} was not written",
        highlight=False,
        soft_wrap=True,
    )
    raise typer.Exit(_EXIT_BAD)
