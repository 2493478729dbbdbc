"""``wsi stain``: how a slide or an image is stained, and how it looks stained like another."""

import json as json_format
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cli.analysis_options import SlideMppOption, analysis_settings
from wsi_pipeline.cli.console import console
from wsi_pipeline.errors import UsageError
from wsi_pipeline.images.picture import read_picture
from wsi_pipeline.images.stain_target import read_target
from wsi_pipeline.run.stain_view import StainView, view_slide
from wsi_pipeline.slide.files import SLIDE_SUFFIXES
from wsi_pipeline.stain.appearance import Appearance, LabStatistics, Method, StainFit, StainMatrix
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.normalisation import StainTarget, separated

_EXIT_BAD = 3
#: What is a picture, not a slide, where both can be read.
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
#: White px between two pictures.
_GAP = 8


def stain(
    source: Annotated[
        Path,
        typer.Argument(
            help="An image, a slide, or a folder of DICOM files.", metavar="IMAGE|SLIDE"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="PNG with the pictures side by side."),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="macenko: two stains from the angles of px in optical density. vahadane: two "
            "stains, each px mostly of one. reinhard: mean and spread of colours, any stain."
        ),
    ] = "macenko",
    target: Annotated[
        Path | None,
        typer.Option(
            help="What it is made to look like: an image, a slide, a model package, or a file of "
            "--save-target. Without it the pictures show each stain alone."
        ),
    ] = None,
    save_target: Annotated[
        Path | None,
        typer.Option(help="Write what was found as a target for training, a YAML file."),
    ] = None,
    slide_mpp: SlideMppOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Find how a slide or image is stained, and show it stained like another.

    Laboratories stain differently, and scanners add to it: a model may see another colour where a
    pathologist sees the same tissue. Stain normalisation finds the two stains of a slide and
    replaces them by those of a target. A model package that was trained so
    ([bold]wsi train --set stain=macenko[/]) does it by itself, in every run; this command shows
    what it does to one slide or image.

    Printed are the direction of each stain in the optical densities of red, green and blue (a unit
    vector, that adds up where stains overlap), and the amount of it that 99 % of the stained px
    stay below. reinhard prints mean and standard deviation of L*, a* and b* instead.

    [bold]Examples[/]

    The stains of a slide, and pictures of each alone:

        wsi stain slide.svs -o stains.png

    A slide as if it were stained like another one:

        wsi stain slide.svs --target other.svs -o beside.png

    A well stained slide as the target of a training:

        wsi stain good.svs --method vahadane --save-target good.yaml
        wsi train ... --set stain.method=vahadane --set stain.target=good.yaml

    Exit codes: 0 success, 3 the stain cannot be told (blank, one stain, fluorescence), or the file
    is bad, 2 wrong usage.
    """
    for path in (out, save_target):
        if path is not None and path.exists() and not overwrite:
            raise UsageError(f"{path} exists already; choose another name, or pass --overwrite")
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"{out}: the pictures are written as PNG; choose a name that ends in .png")
    analysis = analysis_settings(slide_mpp=slide_mpp)
    seen = _look(source, method, analysis)
    wanted = None if target is None else _target(target, method)
    reason = seen.fit.reason
    if wanted is not None and not reason:
        reason = wanted.of(seen.fit).fit.reason
    if out is not None:
        shown = _beside([seen.pixels, *_changed(seen, wanted)])
        Image.fromarray(shown).save(out)
    if save_target is not None and seen.fit.appearance is not None:
        _save(StainTarget(method, seen.fit.appearance), save_target)
    facts = {
        "source": str(source),
        "method": method,
        "stain": None if seen.fit.appearance is None else asdict(seen.fit.appearance),
        "target": None if wanted is None else asdict(wanted.target),
        "reason": reason,
        "picture": None if out is None else str(out),
    }
    if json:
        sys.stdout.write(json_format.dumps(facts) + "\n")
    else:
        _tell(seen.fit, wanted, out, reason)
    if reason:
        raise typer.Exit(_EXIT_BAD)


def _look(path: Path, method: Method, analysis: AnalysisSettings) -> StainView:
    """Fit an image by all its px, a slide by its tissue."""
    if path.suffix.lower() not in _PICTURES:
        return view_slide(path, method, analysis)
    pixels = read_picture(path).pixels
    return StainView(fit_stain(method, pixels.reshape(-1, 3)), pixels)


def _target(path: Path, method: Method) -> StainTarget:
    """A target may be a slide as well, which only programs with slides can read."""
    if path.suffix.lower() not in SLIDE_SUFFIXES or path.suffix.lower() in _PICTURES:
        return read_target(path, method)
    fit = _look(path, method, AnalysisSettings()).fit
    if fit.appearance is None:
        raise UsageError(f"{path} cannot be a target for {method}: {fit.reason}")
    return StainTarget(method, fit.appearance)


def _changed(seen: StainView, target: StainTarget | None) -> list[NDArray[np.uint8]]:
    """What is shown beside the px as they are."""
    if target is not None:
        return [target.of(seen.fit).recolouring()(seen.pixels)]
    if not isinstance(seen.fit.appearance, StainMatrix):
        return []
    return [alone(seen.pixels) for alone in separated(seen.fit.appearance)]


def _beside(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((len(pictures[0]), _GAP, 3), 255, np.uint8)
    parts = [part for one in pictures for part in (gap, one)][1:]
    return np.concatenate(parts, axis=1)


def _save(target: StainTarget, path: Path) -> None:
    facts: dict[str, Any] = json_format.loads(json_format.dumps(asdict(target)))
    path.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")


def _tell(fit: StainFit, target: StainTarget | None, out: Path | None, reason: str) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    beside = [("", fit.appearance), ("target", None if target is None else target.target)]
    statistics = fit.method == "reinhard"
    heads = ("", "L*", "a*", "b*", "") if statistics else ("", "red", "green", "blue", "amount")
    for heading in heads:
        table.add_column(heading, justify="right" if heading else "left")
    for name, appearance in beside:
        for row in _rows(name, appearance):
            table.add_row(*row)
    console.print(table)
    if isinstance(fit.appearance, StainMatrix):
        console.print(f"{fit.appearance.degrees:.1f} degrees between the stains", highlight=False)
    if reason:
        console.print(f"[yellow]! the stain is left as it is: {reason}[/]", highlight=False)
    if out is not None:
        what = "as it is, then normalised" if target else "as it is, then each stain alone"
        only = fit.method == "reinhard" and target is None
        console.print(f"{out}: {'as it is' if reason or only else what}", highlight=False)


def _rows(name: str, appearance: Appearance | None) -> list[tuple[str, ...]]:
    if appearance is None:
        return []
    if isinstance(appearance, LabStatistics):
        named = {"mean": appearance.mean, "standard deviation": appearance.std}
        return [
            (f"{name} {key}".strip(), *(f"{one:.2f}" for one in values), "")
            for key, values in named.items()
        ]
    rows = zip(
        ("haematoxylin", "eosin"), appearance.directions, appearance.concentrations, strict=True
    )
    return [
        (f"{name} {stain_}".strip(), *(f"{one:.3f}" for one in direction), f"{amount:.3f}")
        for stain_, direction, amount in rows
    ]
