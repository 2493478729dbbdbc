"""Making a screen on the terminal, for ``wsi models screen`` and ``wsi train --screen``."""

import json as json_format
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from wsi_pipeline.cli.console import console
from wsi_pipeline.cli.training_progress import TrainingDisplay
from wsi_pipeline.cohort.table import read_cohort
from wsi_pipeline.distil import STEPS
from wsi_pipeline.distil.making import MadeScreen, ScreenOrder, make_screen
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.inputs import expand
from wsi_pipeline.settings import Settings


def find_slides(given: Sequence[str]) -> list[Path]:
    """Slides by files, folders and patterns."""
    return [entry.path for entry in expand(list(given)).slides] if given else []


def slides_of(cohort: Path) -> tuple[list[Path], list[Path]]:
    """Slides of a cohort to learn from, and to choose limits on; test slides are in neither.

    Args:
        cohort: A cohort table, whose splits decide; or a folder of slides, all to learn from.

    Raises:
        CohortError: the table cannot be used.
        UsageError: it names no slide's file.
    """
    if cohort.is_dir():
        return find_slides([str(cohort)]), []
    slides = read_cohort(cohort).slides
    known = [one for one in slides if one.path is not None and one.split in ("train", "validation")]
    learn = [one.path for one in known if one.split == "train" and one.path is not None]
    choose = [one.path for one in known if one.split == "validation" and one.path is not None]
    if not learn:
        raise UsageError(
            f"{cohort} names no slide of the split train; give one with wsi dataset split"
        )
    return learn, choose


def train_screen(package: str, cohort: Path | None, out: Path, **options: Any) -> None:
    """``wsi train --screen``: by the splits of a cohort; options as :func:`make_package_screen`.

    Raises:
        WsiError: something cannot be used.
    """
    if cohort is None:
        raise UsageError("--screen needs a cohort table, or a folder of slides")
    learn, choose = slides_of(cohort)
    make_package_screen(package, learn, out, validation=choose, **options)


def make_package_screen(
    package: str,
    slides: Sequence[Path],
    out: Path,
    *,
    validation: Sequence[Path],
    promise: float,
    seed: int,
    steps: int = STEPS,
    device: str,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Make a screen and say what came out.

    Args:
        package: By folder or name.
        slides: To learn from.
        out: Folder of the new package.
        validation: To choose limits on; none: half of the others.
        promise: Share that may be lost.
        seed: Decides everything that is drawn.
        steps: Batches that each network learns from.
        device: To compute on.
        overwrite: Whether a package there may be replaced.
        json: Print the result as JSON.
        quiet: Print errors only.

    Raises:
        WsiError: something cannot be used.
    """
    settings = Settings()
    with nullcontext() if quiet else console.status("loading the model"):
        found = find_or_build(package, settings, lambda _: None)
    order = ScreenOrder(
        slides, out, validation, promise=promise, steps=steps, seed=seed, overwrite=overwrite
    )
    request = RuntimeRequest(device, "auto", settings.cache_dir)
    with TrainingDisplay(quiet=quiet or json) as display:
        made = make_screen(found, order, request, _Shown(display))
    if json:
        facts = {
            "package": made.package.name,
            "folder": str(out),
            "sha256": made.package.sha256,
            "screen": made.section.model_dump(mode="json"),
            "validation": list(made.validation),
            "without": list(made.without),
        }
        sys.stdout.write(json_format.dumps(facts) + "\n")
    elif not quiet:
        _say(made, out)


class _Shown:
    """Shows the making; is its :class:`~wsi_pipeline.distil.making.ScreenObserver`."""

    def __init__(self, display: TrainingDisplay) -> None:
        self._display = display

    def slide(self, name: str, done: int, of: int) -> None:
        """A slide is looked at."""
        self._display.stage(f"asking the model about {name}", of, done - 1)

    def learning(self, done: int, of: int) -> None:
        """Batches that were learned from."""
        if done == 1:
            self._display.stage("learning", of)
        self._display.advanced(1)

    def left_out(self, path: Path, reason: str) -> None:
        """A slide cannot be used."""
        self._display.says(f"! {path.name} is left out: {reason}")


def _say(made: MadeScreen, out: Path) -> None:
    """The headline, and a line for each stain."""
    section = made.section
    lines = [f"✓ {made.package.name} with a screen in {out}"]
    for number, stain in enumerate(made.section.stains, start=1):
        lines.append(
            f"  stain {number}, {stain.slides} validation slides: screens {stain.screened:.0%} of "
            f"{stain.tiles:,} tiles and loses {stain.lost} of {stain.positives:,} positive ones "
            f"(promised {section.promise:.2%}; upper limit {stain.upper:.2%} with "
            f"{section.confidence:.0%} confidence)"
        )
    lines += [f"! no limit for {one}" for one in made.without]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
