"""``wsi client upload`` and ``wsi client fetch``: bytes to the service, and from it."""

import json as json_format
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from wsi_pipeline.cli import EXIT_BAD
from wsi_pipeline.cli.display import BAR_WIDTH, bars
from wsi_pipeline.cli.remote import Remote, fault, with_remote
from wsi_pipeline.client import RefusedError, SlideRecord, TransferError
from wsi_pipeline.client.exports import OF_A_CLASS, Export
from wsi_pipeline.errors import SlideError, UsageError
from wsi_pipeline.service.text import shown

#: Names of what is fetched, beside the job's id.
_NAMES: Mapping[Export, str] = {
    "mask": ".zarr",
    "zip": ".zarr.zip",
    "heatmap": ".heatmap.png",
    "geojson": ".geojson",
    "csv": ".tiles.csv",
    "tiff": ".mask.tiff",
}

#: Answers that are about one slide: too large, not to be understood, wrong. The others may go.
_ABOUT_THE_SLIDE = (400, 413, 415, 422)
_DICOM_SUFFIXES = (".dcm", ".dicom")


@with_remote
def upload(
    slides: Annotated[
        list[Path],
        typer.Argument(
            help="Slide files, and folders with slides in them; MRXS files and folders of DICOM "
            "files are zipped."
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the slide, if it is only one.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Wait until the service has checked the slides.")
    ] = True,
    *,
    remote: Remote,
) -> None:
    """Upload slides and print their ids. After an interruption the same command continues.

    Folders are searched as by [bold]wsi run[/]. A slide that is refused is named on standard
    error, and the others are uploaded.

    [bold]Examples[/]

        wsi client upload slide.svs

        wsi client upload /scans/today

        wsi client upload /scans/*.mrxs --url https://slides.example.org --token-file key

    Exit codes: 0 all accepted, 1 the service does not answer, 2 wrong usage or refused, 3 some
    slide was refused.
    """
    found = _slides_of(slides)
    if name is not None and len(found) > 1:
        raise UsageError("--name is for one slide")
    sent: list[SlideRecord] = []
    bad = 0
    with remote.client() as client, _bytes(quiet=remote.quiet) as progress:
        for path in found:
            label = escape(shown(path.name))
            task = progress.add_task(label, total=None)
            try:
                slide = client.upload(_whole(path), name=name, progress=_moving(progress, task))
                if check:
                    progress.update(task, description=f"{label} [dim]being checked[/]")
                    slide = client.wait_slide(slide.id)
            except (UsageError, TransferError, SlideError, OSError) as error:
                bad += 1
                fault(str(error))
                continue
            except RefusedError as error:
                if error.status not in _ABOUT_THE_SLIDE:
                    raise
                bad += 1
                fault(f"{shown(path.name)}: {error}")
                continue
            sent.append(slide)
            progress.update(task, description=f"{label} [dim]{slide.state}[/]")
            if slide.problem is not None:
                bad += 1
                fault(f"{shown(path.name)} (slide {slide.id}): {slide.problem['detail']}")
            elif not remote.json:
                sys.stdout.write(f"{slide.id}\n")
                sys.stdout.flush()
    remote.print_json(sent)
    if bad:
        raise typer.Exit(EXIT_BAD)


@with_remote
def fetch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of a job that succeeded.")],
    exports: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPORT]...",
            help=f"Any of {', '.join(get_args(Export))}. \\[default: mask]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the files.")] = Path(),
    name: Annotated[
        str | None,
        typer.Option(help="Beginning of their names; default: the job's id."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="The class that heatmap and TIFF show, of a model with several; it is then part "
            "of their names. [dim]\\[default: the model's positive class][/]",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    *,
    remote: Remote,
) -> None:
    """Download results and print their paths. After an interruption the same command continues.

    The checksums of masks are verified before they get their final names.

    [bold]Examples[/]

        wsi client fetch 77ab…09

        wsi client fetch 77ab…09 heatmap geojson -o results --name slide-17

        wsi client fetch 77ab…09 heatmap --class necrosis

    Exit codes: 0 success, 1 the service does not answer, 2 wrong usage or refused, 3 what arrived
    was damaged.
    """
    wanted = exports or ["mask"]
    unknown = [export for export in wanted if export not in _NAMES]
    if unknown:
        raise UsageError(f"there is no export {unknown[0]!r}; there are {', '.join(_NAMES)}")
    if of is not None and not set(wanted) & set(OF_A_CLASS):
        raise UsageError(f"--class is for {' and '.join(OF_A_CLASS)}; the others hold all classes")
    out.mkdir(parents=True, exist_ok=True)
    here: list[str] = []
    with (
        remote.client() as client,
        _bytes(quiet=remote.quiet) as progress,
    ):
        for export in _NAMES:
            if export in wanted:
                chosen = of if export in OF_A_CLASS else None
                # Files of two classes must not take each other's place.
                added = "" if chosen is None else "." + re.sub(r"[^\w.-]", "_", chosen)
                target = out / f"{name or job}{added}{_NAMES[export]}"
                task = progress.add_task(escape(target.name), total=None)
                client.fetch(job, export, target, of=chosen, progress=_moving(progress, task))
                here.append(str(target))
                if not remote.json:
                    sys.stdout.write(f"{target}\n")
    if remote.json:
        sys.stdout.write(json_format.dumps(here) + "\n")


def _slides_of(arguments: Sequence[Path]) -> list[Path]:
    """Slides that files and folders stand for.

    Raises:
        UsageError: there is nothing at one of them, or no slide in it; nothing was sent yet.
    """
    found: list[Path] = []
    for path in arguments:
        if not path.exists():
            raise UsageError(f"there is no slide {path}")
        if not path.is_dir():
            found.append(path)
            continue
        # Here: this takes seconds, and most uploads are of files.
        from wsi_pipeline.run.inputs import expand  # noqa: PLC0415 - see above

        inside = expand([str(path)])
        if inside.problems:
            raise UsageError(f"{path} {inside.problems[0][1]}")
        found += [entry.path for entry in inside.slides]
    return found


def _whole(path: Path) -> Path:
    """What has to be sent of a slide: one file of a DICOM series is only a part of it.

    Raises:
        UsageError: its other parts lie among other files.
    """
    if path.is_dir() or path.suffix.lower() not in _DICOM_SUFFIXES:
        return path
    from wsi_pipeline.slide.files import slide_files  # noqa: PLC0415 - takes seconds

    files = slide_files(path)
    if len(files) == 1:
        return path
    if {file for file in path.parent.iterdir() if not file.name.startswith(".")} != set(files):
        raise UsageError(
            f"{path} is one of {len(files)} files of a slide; put these into a folder of their own "
            "and send that"
        )
    return path.parent


def _bytes(*, quiet: bool) -> Progress:
    return bars(
        TextColumn("[bold]{task.description}"),
        BarColumn(BAR_WIDTH),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        quiet=quiet,
        transient=False,
    )


def _moving(progress: Progress, task: TaskID) -> Any:
    def move(done: int, total: int | None) -> None:
        progress.update(task, completed=done, total=total)

    return move
