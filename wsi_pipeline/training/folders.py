"""Where a training keeps what: package, report, and what only an unfinished one needs."""

import shutil
from contextlib import suppress
from pathlib import Path

from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import DESCRIPTION
from wsi_pipeline.training.checkpoint import BEST, CHECKPOINT


def work_folder(out: Path) -> Path:
    """Where checkpoints and logs of a package's training are kept: beside it."""
    return out.with_name(f"{out.name}.training")


def report_path(out: Path) -> Path:
    """The training's report: beside the package."""
    return out.with_name(f"{out.name}.train.json")


def clear(work: Path) -> None:
    """Remove what only an unfinished training needs; logs stay."""
    for folder in (work, *work.glob("search-*")):
        for name in (CHECKPOINT, BEST):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "features", ignore_errors=True)


def discard(out: Path) -> None:
    """Forget an unfinished training of a package."""
    shutil.rmtree(work_folder(out), ignore_errors=True)


def check_free(out: Path, *, overwrite: bool) -> None:
    """Check that a package may be written; with ``overwrite`` forget the report of an earlier one.

    Raises:
        UsageError: something else is there.
    """
    report, begun = report_path(out), (work_folder(out) / CHECKPOINT).exists()
    if out.exists() and not (out / DESCRIPTION).exists():
        raise UsageError(f"{out} is there and is no model package; choose another -o")
    if overwrite:
        report.unlink(missing_ok=True)
    elif out.exists() and not report.exists() and not begun:
        raise UsageError(f"{out} exists; replace it with --overwrite, or choose another -o")
