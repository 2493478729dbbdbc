"""``wsi client``: the service from the command line."""

import json as json_format
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from wsi_pipeline.cli import EXIT_BAD, EXIT_FAILURE, EXIT_USAGE
from wsi_pipeline.cli.console import console
from wsi_pipeline.client import (
    Client,
    ClientError,
    JobFacts,
    RefusedError,
    SlideFacts,
    TransferError,
)
from wsi_pipeline.client.client import Export
from wsi_pipeline.errors import UsageError

app = typer.Typer(
    help="Use a service: upload slides, submit jobs, wait, fetch results.\n\n"
    "WSI_URL and WSI_TOKEN say which service and hold the key; `wsi serve` prints both.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_WHICH = "Service"
_Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="WSI_URL",
        help="Address of the service; the one `wsi serve` prints, with the token, will do.",
        show_default="http://127.0.0.1:8000",
        rich_help_panel=_WHICH,
    ),
]
_Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="WSI_TOKEN",
        help="API key. Other users of this machine can see it among the processes; better use "
        "the variable or a file.",
        show_default=False,
        rich_help_panel=_WHICH,
    ),
]
_TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="WSI_TOKEN_FILE",
        help="File with the API key.",
        show_default=False,
        rich_help_panel=_WHICH,
    ),
]
_Json = Annotated[
    bool, typer.Option("--json", help="Print what the service told as JSON on standard output.")
]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no lines.")]
_JobIds = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs.")]

_LOCAL = "http://127.0.0.1:8000"
#: Names of what is fetched, beside the job's id.
_NAMES: Mapping[Export, str] = {
    "mask": ".zarr",
    "zip": ".zarr.zip",
    "heatmap": ".heatmap.png",
    "geojson": ".geojson",
    "csv": ".tiles.csv",
    "tiff": ".mask.tiff",
}


@app.command()
def upload(
    slides: Annotated[
        list[Path],
        typer.Argument(help="Slide files; MRXS files and folders of DICOM files are zipped."),
    ],
    name: Annotated[
        str | None, typer.Option(help="What to call the slide, if it is one.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Wait until the service has checked the slides.")
    ] = True,
    url: _Url = _LOCAL,
    token: _Token = None,
    token_file: _TokenFile = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Send slides and print their ids. Cut off, the same command goes on where it was.

    [bold]Examples[/]

        wsi client upload slide.svs

        wsi client upload /scans/*.mrxs --url https://slides.example.org --token-file key

    Exit codes: 0 all taken, 1 the service does not answer, 2 wrong usage or refused, 3 some slide
    was rejected.
    """
    if name is not None and len(slides) > 1:
        raise UsageError("--name is for one slide")
    sent: list[SlideFacts] = []
    with _client(url, token, token_file, quiet=quiet) as client, _bytes(quiet=quiet) as progress:
        for path in slides:
            task = progress.add_task(path.name, total=None)
            slide = client.upload(path, name=name, progress=_moving(progress, task))
            if check:
                progress.update(task, description=f"{path.name} [dim]being checked[/]")
                slide = client.wait_slide(slide.id)
            sent.append(slide)
            progress.update(task, description=f"{path.name} [dim]{slide.state}[/]")
            if not json:
                sys.stdout.write(f"{slide.id}\n")
                sys.stdout.flush()
            if slide.problem is not None and not quiet:
                _fault(f"{path.name}: {slide.problem['detail']}")
    _print_json(sent, json=json)
    if any(slide.state == "rejected" for slide in sent):
        raise typer.Exit(EXIT_BAD)


@app.command()
def submit(
    slides: Annotated[list[str], typer.Argument(metavar="SLIDE...", help="Ids of slides.")],
    model: Annotated[str, typer.Option(help="Name of a model package of the service.")] = "demo",
    mpp: Annotated[float | None, typer.Option(help="µm per px.", show_default=False)] = None,
    level: Annotated[
        int | None, typer.Option(help="Pyramid level, instead of --mpp.", show_default=False)
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Distance between tiles in analysis px.", show_default=False),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Probability from which a cell is tumour.", show_default=False),
    ] = None,
    priority: Annotated[int, typer.Option(help="Higher is sooner.")] = 0,
    webhook: Annotated[
        str | None,
        typer.Option(help="Address told when a job is over.", show_default=False),
    ] = None,
    url: _Url = _LOCAL,
    token: _Token = None,
    token_file: _TokenFile = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Queue slides, all or none, and print the ids of their jobs.

    [bold]Examples[/]

        wsi client submit 5f0c…e1 --model demo

        wsi client submit $(wsi client upload *.svs) --model lab-model --mpp 0.5 --priority 10

    Exit codes: 0 queued, 1 the service does not answer, 2 wrong usage or refused.
    """
    with _client(url, token, token_file, quiet=quiet) as client:
        jobs = client.submit_all(
            slides,
            model,
            mpp=mpp,
            level=level,
            stride=stride,
            threshold=threshold,
            priority=priority,
            webhook=webhook,
        )
    _print_json(jobs, json=json)
    if not json:
        sys.stdout.writelines(f"{job.id}\n" for job in jobs)


@app.command()
def status(
    jobs: _JobIds,
    url: _Url = _LOCAL,
    token: _Token = None,
    token_file: _TokenFile = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Show where jobs stand.

    [bold]Example[/]

        wsi client status 77ab…09

    Exit codes: 0 shown, 1 the service does not answer, 2 wrong usage or refused.
    """
    with _client(url, token, token_file, quiet=quiet) as client:
        found = [client.status(job) for job in jobs]
    _print_json(found, json=json)
    if not json:
        table = Table(box=None, pad_edge=False)
        for column in ("job", "state", "stage", "tiles", "position", "expected", "reason"):
            table.add_column(column, overflow="fold")
        for job in found:
            table.add_row(*_cells(job))
        Console().print(table, highlight=False)


@app.command()
def wait(
    jobs: _JobIds,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds after which to give up.", show_default=False)
    ] = None,
    url: _Url = _LOCAL,
    token: _Token = None,
    token_file: _TokenFile = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Wait until jobs are over, with their progress.

    [bold]Example[/]

        wsi client wait 77ab…09 && wsi client fetch 77ab…09 mask

    Exit codes: 0 all succeeded, 1 the service does not answer or the time is up, 2 wrong usage or
    refused, 3 some job failed or was cancelled.
    """
    ended: list[JobFacts] = []
    bars = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:,} of {task.fields[all]} tiles  {task.fields[note]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    with _client(url, token, token_file, quiet=quiet) as client, bars:
        for job_id in jobs:
            task = bars.add_task(job_id[:8], total=None, all="–", note="")

            def show(job: JobFacts, task: TaskID = task) -> None:
                note = job.stage or job.state
                if job.position is not None:
                    note = f"{note}, place {job.position}"
                whole = job.tiles_total
                bars.update(
                    task,
                    completed=job.tiles_done,
                    total=whole,
                    all="–" if whole is None else f"{whole:,}",
                    note=note,
                )

            ended.append(client.wait(job_id, progress=show, timeout_seconds=timeout))
            if not quiet and not json:
                _say(ended[-1])
    _print_json(ended, json=json)
    if any(job.state != "succeeded" for job in ended):
        raise typer.Exit(EXIT_BAD)


@app.command()
def cancel(
    jobs: _JobIds,
    url: _Url = _LOCAL,
    token: _Token = None,
    token_file: _TokenFile = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Give jobs up; those that run stop within seconds.

    [bold]Example[/]

        wsi client cancel 77ab…09

    Exit codes: 0 done, 1 the service does not answer, 2 wrong usage or refused.
    """
    with _client(url, token, token_file, quiet=quiet) as client:
        given_up = [client.cancel(job) for job in jobs]
    _print_json(given_up, json=json)


@app.command()
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
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to put them in.")] = Path(),
    name: Annotated[
        str | None,
        typer.Option(help="What their names begin with; the job's id if not given."),
    ] = None,
    url: _Url = _LOCAL,
    token: _Token = None,
    token_file: _TokenFile = None,
    json: _Json = False,
    quiet: _Quiet = False,
) -> None:
    """Fetch results and print where they are. Cut off, the same command goes on where it was.

    Masks are decoded and hashed again before they appear under their names.

    [bold]Examples[/]

        wsi client fetch 77ab…09

        wsi client fetch 77ab…09 heatmap geojson -o results --name slide-17

    Exit codes: 0 all here, 1 the service does not answer, 2 wrong usage or refused, 3 what arrived
    was damaged.
    """
    wanted = exports or ["mask"]
    unknown = [export for export in wanted if export not in _NAMES]
    if unknown:
        raise UsageError(f"there is no export {unknown[0]!r}; there are {', '.join(_NAMES)}")
    out.mkdir(parents=True, exist_ok=True)
    here: list[str] = []
    with _client(url, token, token_file, quiet=quiet) as client, _bytes(quiet=quiet) as progress:
        for export in _NAMES:
            if export in wanted:
                target = out / f"{name or job}{_NAMES[export]}"
                task = progress.add_task(target.name, total=None)
                client.fetch(job, export, target, progress=_moving(progress, task))
                here.append(str(target))
                if not json:
                    sys.stdout.write(f"{target}\n")
    if json:
        sys.stdout.write(json_format.dumps(here) + "\n")


@contextmanager
def _client(
    url: str, token: str | None, token_file: Path | None, *, quiet: bool
) -> Iterator[Client]:
    """A client whose errors end the program with the command's exit codes."""

    def tell(reason: str, seconds: float) -> None:
        if not quiet:
            console.print(f"{reason}; trying again in {seconds:.0f} s", style="dim", soft_wrap=True)

    if token is None and token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"the file with the key cannot be read: {error.strerror}") from error
    try:
        with Client(url, token, tell=tell) as client:
            yield client
    except RefusedError as error:
        _fault(str(error))
        raise typer.Exit(EXIT_FAILURE if error.status >= 500 else EXIT_USAGE) from error
    except TransferError as error:
        _fault(str(error))
        raise typer.Exit(EXIT_BAD) from error
    except (ClientError, TimeoutError) as error:
        _fault(str(error))
        raise typer.Exit(EXIT_FAILURE) from error


def _bytes(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=28),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=quiet or not console.is_terminal,
    )


def _moving(progress: Progress, task: TaskID) -> Any:
    def move(done: int, total: int | None) -> None:
        progress.update(task, completed=done, total=total)

    return move


def _cells(job: JobFacts) -> Sequence[str]:
    total = "–" if job.tiles_total is None else f"{job.tiles_total:,}"
    expected = "" if job.expected_at is None else f"{job.expected_at.astimezone():%H:%M:%S}"
    return (
        job.id,
        job.state,
        job.stage or "",
        f"{job.tiles_done:,} of {total}",
        "" if job.position is None else str(job.position),
        expected,
        "" if job.problem is None else str(job.problem["detail"]),
    )


def _say(job: JobFacts) -> None:
    if job.state == "succeeded":
        console.print(f"[green]✓[/] {job.id}", highlight=False)
        return
    reason = "" if job.problem is None else f": {job.problem['detail']}"
    console.print(f"[red]✗[/] {job.id} {job.state}{reason}", highlight=False, soft_wrap=True)


def _print_json(facts: Sequence[JobFacts | SlideFacts], *, json: bool) -> None:
    if json:
        sys.stdout.write(json_format.dumps([fact.json for fact in facts]) + "\n")


def _fault(message: str) -> None:
    sys.stderr.write(f"wsi: {message}\n")
