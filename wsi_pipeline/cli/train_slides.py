"""``wsi train`` with a recipe for slide labels."""

import json as json_format
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsi_pipeline.cli.training_progress import TrainingDisplay
from wsi_pipeline.errors import UsageError
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.settings import Settings
from wsi_pipeline.training.slides.recipe import load_slide_recipe
from wsi_pipeline.training.slides.table import read_labels

Json = dict[str, Any]
#: What ``--licence`` is unless it is given.
_NO_LICENCE = "not stated"


def train_slide_labels(
    table: Path,
    out: Path,
    recipe: str,
    changes: Sequence[str],
    *,
    features: Path | None,
    encoder: str | None,
    positive: str | None,
    folds: int,
    naming: tuple[str, str, str],
    seed: int,
    threads: int | None,
    device: str,
    skip_bad: bool,
    restart: bool,
    overwrite: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Train, and print the report; arguments are the options of ``wsi train``.

    Raises:
        WsiError: it cannot be done as asked.
    """
    chosen = load_slide_recipe(recipe, changes, folds=folds or None)
    if chosen.target == "survival" and encoder is not None:
        raise UsageError(
            "survival makes no package, for wsi run has no answer of risk yet: leave out --encoder "
            "to get the networks and the report; docs/attention.md says how risks are computed"
        )
    found = read_labels(table, features, chosen.target, positive)
    package = None if encoder is None else find_or_build(encoder, Settings())
    if package is not None and package.description.map is not None:
        raise UsageError(
            f"--encoder {package.name} answers with maps and has no features of a tile; name the "
            "package that made the features"
        )
    name, version, licence = naming
    with TrainingDisplay(quiet=quiet) as display:
        display.stage("starting")
        # Imports torch, which takes longer than finding a wrong option.
        from wsi_pipeline.training.slides.session import (  # noqa: PLC0415
            SlideOrder,
            train_slides,
        )

        order = SlideOrder(
            recipe=chosen,
            out=out,
            encoder=package,
            name=name,
            version=version,
            licence="" if licence == _NO_LICENCE else licence,
            seed=seed,
            # Products of small matrices: more threads than one only wait for one another.
            threads=threads or 1,
            device=device,
            skip_bad=skip_bad,
            restart=restart,
            overwrite=overwrite,
        )
        report = train_slides(found, order, display)
    if json:
        sys.stdout.write(json_format.dumps(report) + "\n")
    elif not quiet:
        sys.stdout.write("\n".join(_lines(report)) + "\n")


def _lines(report: Json) -> list[str]:
    lines = [report["package"]]
    if not report["for_wsi_run"]:
        why = (
            "name the encoder with --encoder to get a package"
            if "classes" in report
            else "risks are computed in Python, see docs/attention.md"
        )
        lines.append(f"  the networks alone, which wsi run cannot use: {why}")
    figures = ("auc", "accuracy") if "classes" in report else ("c_index",)
    for part in ("held_out", "test"):
        found = report[part]
        if found is None:
            continue
        slides = ", ".join(f"{count} {name}" for name, count in found["slides"].items())
        lines.append(f"  {part.replace('_', ' ')}: {slides}; {found['groups']} groups")
        lines += [f"    {name:<10}{_estimate(found[name])}" for name in figures]
    if "rule" in report:
        rule = report["rule"]
        limits = [
            f"{words} {rule[key]:.3g}"
            for key, words in (
                ("clear_below", "clear below"),
                ("suspicious_from", "suspicious from"),
            )
            if rule[key] is not None
        ]
        lines.append(
            f"  states: {', '.join(limits) or 'too few slides for any: always look again'}"
        )
    return lines


def _estimate(figure: Json) -> str:
    if figure["value"] is None:
        return "–"
    if figure["low"] is None:
        return f"{figure['value']:.3f} (too few for an interval)"
    return f"{figure['value']:.3f} (95 % {figure['low']:.3f} to {figure['high']:.3f})"
