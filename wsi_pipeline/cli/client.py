"""``wsi client``: the service from the command line."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from wsi_pipeline.analysis_settings import DEFAULT_MODEL
from wsi_pipeline.cli import EXIT_BAD
from wsi_pipeline.cli.analysis_options import TtaOption
from wsi_pipeline.cli.client_images import app as images
from wsi_pipeline.cli.display import BAR_WIDTH, bars
from wsi_pipeline.cli.jobs_display import say_ended, show_jobs
from wsi_pipeline.cli.remote import Remote, with_remote
from wsi_pipeline.cli.transfers import fetch, upload
from wsi_pipeline.client import JobRecord

app = typer.Typer(
    help="Use a service: upload slides, submit jobs, wait, fetch results.\n\n"
    "WSI_URL and WSI_TOKEN say which service and hold the key; `wsi serve` prints both.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
app.command()(upload)
app.add_typer(images, name="images")

_JobIds = Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs.")]


@app.command()
@with_remote
def models(*, remote: Remote) -> None:
    """Show the model packages of the service: what they find, their licence, what to know of them.

    [bold]Examples[/]

        wsi client models

        wsi client models --json

    Exit codes: 0 shown, 1 the service does not answer, 2 wrong usage or refused.
    """
    with remote.client() as client:
        found = client.models()
    remote.print_json(found)
    if remote.json:
        return
    table = Table(box=None, pad_edge=False)
    for column in ("model", "version", "finds", "licence", "notice"):
        table.add_column(column, overflow="fold")
    for one in found:
        finds = one.positive if one.task == "binary" else ", ".join(one.classes)
        cells = (one.name, one.version, finds, one.licence, one.notice)
        table.add_row(*(escape(cell) for cell in cells))
    Console().print(table, highlight=False)


@app.command()
@with_remote
def submit(
    slides: Annotated[list[str], typer.Argument(metavar="SLIDE...", help="Ids of slides.")],
    model: Annotated[
        str, typer.Option(help="Name of a model package of the service.")
    ] = DEFAULT_MODEL,
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
        typer.Option(help="Probability from which a cell is of a class.", show_default=False),
    ] = None,
    slide_mpp: Annotated[
        float | None,
        typer.Option(
            help="µm per level-0 px, where the file states none or a wrong one.", show_default=False
        ),
    ] = None,
    tta: TtaOption = False,
    priority: Annotated[int, typer.Option(help="Higher is sooner.", min=-100, max=100)] = 0,
    webhook: Annotated[
        str | None,
        typer.Option(help="Address notified when a job is finished.", show_default=False),
    ] = None,
    *,
    remote: Remote,
) -> None:
    """Queue slides (all or none) and print the ids of their jobs.

    [bold]Examples[/]

        wsi client submit 5f0c…e1 --model demo

        wsi client submit $(wsi client upload *.svs) --model lab-model --mpp 0.5 --priority 10

    Exit codes: 0 queued, 1 the service does not answer, 2 wrong usage or refused.
    """
    with remote.client() as client:
        jobs = client.submit_all(
            slides,
            model,
            mpp=mpp,
            level=level,
            stride=stride,
            threshold=threshold,
            slide_mpp=slide_mpp,
            tta=tta,
            priority=priority,
            webhook=webhook,
        )
    remote.print_json(jobs)
    if not remote.json:
        sys.stdout.writelines(f"{job.id}\n" for job in jobs)


@app.command()
@with_remote
def status(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[JOB]...", help="Ids of jobs; none: the newest.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(help="Number of the newest jobs to show, if none is named.", min=1, max=200),
    ] = 20,
    *,
    remote: Remote,
) -> None:
    """Show the state of jobs: what they are at, or their place in the queue; tiles done of all.

    Below the table is why jobs failed, or are tried again.

    [bold]Examples[/]

        wsi client status

        wsi client status 77ab…09

    Exit codes: 0 shown, 1 the service does not answer, 2 wrong usage or refused.
    """
    with remote.client() as client:
        found = [client.status(job) for job in jobs] if jobs else client.jobs(limit=limit)
    remote.print_json(found)
    if not remote.json and not found:
        Console().print("There are no jobs yet.", highlight=False)
    elif not remote.json:
        show_jobs(found)


@app.command()
@with_remote
def wait(
    jobs: _JobIds,
    timeout: Annotated[
        float | None, typer.Option(help="Maximum waiting time in seconds.", show_default=False)
    ] = None,
    *,
    remote: Remote,
) -> None:
    """Wait until jobs are finished, showing their progress.

    [bold]Example[/]

        wsi client wait 77ab…09 && wsi client fetch 77ab…09 mask

    Exit codes: 0 all succeeded, 1 the service does not answer or the time is up, 2 wrong usage or
    refused, 3 some job failed or was cancelled.
    """
    ended: list[JobRecord] = []
    progress = bars(
        TextColumn("[bold]{task.description}"),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.completed:,} of {task.fields[all]} tiles  {task.fields[note]}"),
        TimeRemainingColumn(compact=True),
        quiet=remote.quiet,
        transient=False,
    )
    with remote.client() as client, progress:
        for job_id in jobs:
            task = progress.add_task(job_id[:8], total=None, all="–", note="")

            def show(job: JobRecord, task: TaskID = task) -> None:
                note = job.stage or job.state
                if job.position is not None:
                    note = f"{note}, place {job.position}"
                whole = job.tiles_total
                progress.update(
                    task,
                    completed=job.tiles_done,
                    total=whole,
                    all="–" if whole is None else f"{whole:,}",
                    note=note,
                )

            ended.append(client.wait(job_id, progress=show, timeout_seconds=timeout))
            if ended[-1].state != "succeeded" or not (remote.quiet or remote.json):
                say_ended(ended[-1])
    remote.print_json(ended)
    if any(job.state != "succeeded" for job in ended):
        raise typer.Exit(EXIT_BAD)


@app.command()
@with_remote
def cancel(
    jobs: _JobIds,
    *,
    remote: Remote,
) -> None:
    """Cancel jobs; running ones stop within seconds.

    [bold]Example[/]

        wsi client cancel 77ab…09

    Exit codes: 0 done, 1 the service does not answer, 2 wrong usage or refused.
    """
    with remote.client() as client:
        given_up = [client.cancel(job) for job in jobs]
    remote.print_json(given_up)


@app.command()
@with_remote
def share(
    jobs: _JobIds,
    hours: Annotated[int, typer.Option(help="Hours until the link expires.", min=1, max=720)] = 168,
    *,
    remote: Remote,
) -> None:
    """Print addresses of masks that vizarr, QuPath and zarr-python open without a key.

    Anyone who has one can read the mask until it expires; `wsi keys revoke` ends all that were
    made with a key.

    [bold]Example[/]

        wsi client share 77ab…09 --hours 24

    Exit codes: 0 done, 1 the service does not answer, 2 wrong usage or refused.
    """
    with remote.client() as client:
        shared = [client.share(job, hours=hours) for job in jobs]
    remote.print_json(shared)
    if remote.json:
        return
    for mask in shared:
        sys.stdout.write(f"{mask.url}\n")
    if not remote.quiet:
        sys.stderr.write(f"Valid until {shared[-1].expires_at.astimezone():%Y-%m-%d %H:%M}.\n")


app.command()(fetch)
