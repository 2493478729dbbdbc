"""The profile of a run: its file, and the table at the end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.table import Table

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.crash_guard import Guarded
from wsi_pipeline.errors import UsageError
from wsi_pipeline.run.profile import NOT_PROFILED, Profile, Recorder, StageTime, stage_times
from wsi_pipeline.run.trace import SUFFIX, write_trace

#: Of the file in the output folder, where the command names none.
NAME = f"profile{SUFFIX}"


@contextmanager
def profiled(profile: str | None, out: Path, guard: Guarded, *, quiet: bool) -> Iterator[Recorder]:
    """Record a command, and leave file and table when it ends or is interrupted.

    Args:
        profile: What ``--profile`` was given: a file, or nothing; None: it was not given.
        out: Folder for the results.
        guard: Of the command.
        quiet: Print nothing.

    Raises:
        UsageError: what was given is not the name of a JSON file.
        OSError: the file cannot be written.
    """
    if profile is None:
        yield NOT_PROFILED
        return
    if profile and not profile.endswith(SUFFIX):
        raise UsageError(f"--profile {profile}: the file's name must end with {SUFFIX}")
    recorder = Profile(guard.process)
    recorder.started(guard.cpu_seconds)
    try:
        yield recorder
    except (typer.Exit, KeyboardInterrupt):
        _leave(recorder, Path(profile) if profile else out / NAME, quiet=quiet)
        raise
    _leave(recorder, Path(profile) if profile else out / NAME, quiet=quiet)


def _leave(recorder: Profile, file: Path, *, quiet: bool) -> None:
    whole = time.time() - recorder.began
    times = stage_times(recorder.spans, whole)
    write_trace(file, recorder.spans, times, whole)
    if not quiet:
        console.print(_table(times))
        busy = next(time for time in times if time.stage == "model")
        console.print(
            f"{whole:.2f} s in all; the model had work for {busy.seconds:.2f} s "
            f"({busy.share:.0%}). Trace: {file}",
            soft_wrap=True,
        )


def _table(times: Sequence[StageTime]) -> Table:
    table = Table("stage", box=None, pad_edge=False)
    for head in ("wall s", "thread s", "CPU s", "share", "model idle s"):
        table.add_column(head, justify="right")
    for one in times:
        table.add_row(
            one.stage,
            f"{one.seconds:.2f}",
            f"{one.thread_seconds:.2f}",
            "" if one.cpu_seconds is None else f"{one.cpu_seconds:.2f}",
            f"{one.share:.0%}",
            f"{one.model_idle_seconds:.2f}",
        )
    return table
