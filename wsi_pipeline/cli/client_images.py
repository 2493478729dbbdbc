"""``wsi client images``: single images of a service from the command line."""

import json as json_format
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from wsi_pipeline.cli import EXIT_BAD
from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.display import BAR_WIDTH, bars
from wsi_pipeline.cli.remote import Remote, fault, with_remote
from wsi_pipeline.client import Client, RefusedError
from wsi_pipeline.client.images import MAX_IMAGES, By, ImageJobRecord, ImageRecord
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.text import shown

app = typer.Typer(
    help="Single images: upload and classify a folder, fetch corrected labels.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)

#: Sent at the same time: most of the time of a small image is spent waiting.
_AT_ONCE = 4
#: Answers that are about one image; the others may go.
_ABOUT_THE_IMAGE = (400, 413, 415, 422)


@app.command()
@with_remote
def upload(
    images: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder of images with its subfolders, or one.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Name of a model package of the service, which classifies the images; without it "
            "they are only uploaded.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the job; default: the folder's name.", show_default=False),
    ] = None,
    *,
    remote: Remote,
) -> None:
    """Upload images and print what a model calls them; without a model, print their ids.

    Each line of the answer holds the image's name, its class, the class's probability, and
    [bold]review[/] where a person has to look again, separated by tabs. Started again after an
    interruption, nothing is kept or computed twice. An image that cannot be used is named on
    standard error, and the others go on.

    [bold]Examples[/]

        wsi client images upload smear-17/ --model blood-cells

        wsi client images upload cell.png --model blood-cells --json

    Exit codes: 0 all done, 1 the service does not answer, 2 wrong usage or refused, 3 some image
    cannot be used.
    """
    found = _files(images)
    progress = bars(
        TextColumn("[bold]{task.description}"),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        quiet=remote.quiet,
    )
    bad = 0
    with remote.client() as client, progress:
        task = progress.add_task("uploading", total=len(found))
        sent: dict[str, ImageRecord] = {}
        for outcome in _sent(client, found):
            progress.advance(task)
            if isinstance(outcome, ImageRecord):
                sent[outcome.id] = outcome
            else:
                bad += 1
                fault(outcome)
        answered = list(sent.values())
        if model is not None and sent:
            answered = []
            task = progress.add_task("classifying", total=len(sent))
            called = name or images.resolve().name
            for job in _jobs(client, called, model, list(sent)):
                before = len(answered)

                def show(job: ImageJobRecord, before: int = before) -> None:
                    progress.update(task, completed=before + job.answered + job.failed)

                client.images.wait(job.id, progress=show)
                answered += client.images.list(job=job.id)
    bad += sum(_tell(image, remote, asked=model is not None) for image in answered)
    if remote.json:
        sys.stdout.write(json_format.dumps([image.json for image in answered]) + "\n")
    if model is not None and not remote.quiet:
        review = sum(bool((image.answer or {}).get("review")) for image in answered)
        done = sum(image.answer is not None for image in answered)
        words = f"{done:,} answered, {bad:,} failed, {review:,} to look at again"
        console.print(words, highlight=False, soft_wrap=True)
    if bad:
        raise typer.Exit(EXIT_BAD)


@app.command()
@with_remote
def labels(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The folder to be made.", show_default=False)
    ],
    job: Annotated[
        str | None, typer.Option(help="Id of a job: only its images.", show_default=False)
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            help="Whose labels: your own, or everyone's. Images about which users disagree are "
            "listed in disagreements.csv and left out."
        ),
    ] = "me",
    *,
    remote: Remote,
) -> None:
    """Fetch labelled images with the table [bold]labels.csv[/], and print its path.

    [bold]Examples[/]

        wsi client images labels -o labels

        wsi train --images labels/labels.csv -o corrected

    Exit codes: 0 done, 1 the service does not answer, 2 wrong usage or refused, 3 what arrived
    was damaged.
    """
    with remote.client() as client:
        table = client.images.fetch_labels(out, job=job, by=by)
    rows = table.read_text(encoding="utf-8").count("\n") - 1
    if remote.json:
        sys.stdout.write(json_format.dumps({"table": str(table), "images": rows}) + "\n")
    else:
        sys.stdout.write(f"{table}\n")
    if rows == 0 and not remote.quiet:
        sys.stderr.write("wsi: nobody has labelled an image there yet: the table is empty\n")


def _files(images: Path) -> list[tuple[str, Path]]:
    """Names as a browser gives them for a dropped folder, and files.

    Raises:
        UsageError: there is nothing of this name.
        CohortError: there is no image in it.
    """
    # Here: it brings NumPy, and other verbs are instant.
    from wsi_pipeline.images.collection import TABLES, read_collection  # noqa: PLC0415

    if images.suffix.lower() in TABLES:
        raise UsageError(f"{images} is a table; give the folder of its images")
    if not images.exists():
        raise UsageError(f"there is no folder or image {images}")
    found = read_collection(images).images
    if not images.is_dir():
        return [(images.name, images)]
    folder = images.resolve().name
    return [(f"{folder}/{one.path.relative_to(images).as_posix()}", one.path) for one in found]


def _sent(client: Client, found: Sequence[tuple[str, Path]]) -> Iterator[ImageRecord | str]:
    """Images as the service has them, in their order, or why it does not take one."""

    def send(one: tuple[str, Path]) -> ImageRecord | str:
        name, path = one
        try:
            return client.images.upload(path, name=name)
        except (UsageError, OSError) as error:
            return str(error)
        except RefusedError as error:
            if error.status not in _ABOUT_THE_IMAGE:
                raise
            return f"{shown(name)}: {error}"

    with ThreadPoolExecutor(_AT_ONCE, "images") as pool:
        try:
            yield from pool.map(send, found)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _jobs(client: Client, name: str, model: str, ids: Sequence[str]) -> Iterator[ImageJobRecord]:
    for start in range(0, len(ids), MAX_IMAGES):
        yield client.images.submit(name, model, ids[start : start + MAX_IMAGES])


def _tell(image: ImageRecord, remote: Remote, *, asked: bool) -> bool:
    """Print what is known of an image; returns whether it is a bad one."""
    if not asked:
        if not remote.json:
            sys.stdout.write(f"{image.id}\n")
        return False
    if image.answer is None:
        reason = "was not answered" if image.problem is None else image.problem["detail"]
        # Where a worker read the image, the reason begins with its name already.
        fault(f"{shown(image.name)}: {reason.removeprefix(f'{image.name}: ')}")
        return True
    if not remote.json:
        called = image.answer["called"]
        likely = max((image.answer["probabilities"][one] for one in called), default=0.0)
        cells = (shown(image.name), ", ".join(called), f"{likely:.4f}")
        review = "review" if image.answer["review"] else ""
        sys.stdout.write("\t".join((*cells, review)) + "\n")
    return False
