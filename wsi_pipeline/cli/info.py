"""``wsi info``: what a slide is, whether it can be analysed, and the expected work."""

import json as json_format
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from wsi_pipeline.cli.analysis_options import (
    LevelOption,
    MppOption,
    SlideMppOption,
    StrideOption,
    analysis_settings,
    check_stride,
)
from wsi_pipeline.errors import SlideError
from wsi_pipeline.geometry import Mpp
from wsi_pipeline.provided import find_or_build
from wsi_pipeline.run.checked_slide import CheckedSlide, check_slide
from wsi_pipeline.settings import Settings
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.probe import Probe, probe

#: Tiles per second assumed for the estimate: int8 with refinement on two cores (``make bench``).
_TILES_PER_SECOND = 100.0
#: Share of the tiles of a lymph-node slide that hold tissue, for the estimate.
_TISSUE_SHARE = 0.4


def info(
    slide: Annotated[Path, typer.Argument(help="A slide file, or a folder of DICOM files.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Also check whether the slide suits this model package: its folder, or a name."
        ),
    ] = None,
    mpp: MppOption = None,
    level: LevelOption = None,
    stride: StrideOption = None,
    slide_mpp: SlideMppOption = None,
    patch: Annotated[
        int,
        typer.Option(help="Side of a tile in px, for the estimate without --model.", min=1),
    ] = 299,
    json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Show a slide's format, levels, resolution and size, and estimate the work per level.

    The slide is checked as [bold]wsi run[/] checks it with the same options before it looks for
    tissue, and what [bold]run[/] would refuse is refused here, for the same reason and with the
    same exit code. The file is read in a child process, so that a damaged or malicious one harms
    nothing. The model itself is not loaded.

    [bold]Examples[/]

        wsi info slide.svs

        wsi info slide.svs --model lab-model --slide-mpp 0.5

        wsi info slide.svs --json

    Exit codes: 0 [bold]wsi run[/] would analyse it, 3 it would refuse the slide, 2 wrong usage.
    """
    chosen = analysis_settings(mpp=mpp, level=level, stride=stride, slide_mpp=slide_mpp)
    package = None if model is None else find_or_build(model, Settings())
    tile = patch if package is None else package.description.tile_px
    check_stride(stride, tile, None if package is None else package.description.cell_px)
    probed = probe(slide)
    checked, refusal = None, None
    try:
        checked = check_slide(slide, package, chosen, prober=lambda _: probed)
    except SlideError as error:
        refusal = error
    facts = _facts(slide, probed, checked, refusal, stride or tile)
    if json:
        sys.stdout.write(json_format.dumps(facts) + "\n")
    else:
        _show(facts)
    if refusal is not None:
        raise refusal


def _facts(
    path: Path,
    probed: Probe,
    checked: CheckedSlide | None,
    refusal: SlideError | None,
    stride: int,
) -> dict[str, Any]:
    slide = probed.info
    mpp = slide.mpp if checked is None else checked.mpp_0
    warnings = list(slide.warnings if checked is None else checked.warnings)
    if slide.colours_corrected:
        warnings.insert(0, f"its colours are corrected: {slide.colours_corrected}")
    levels: list[dict[str, Any]] = []
    for index, level in enumerate(slide.levels):
        px = level.size.width, level.size.height
        tiles = math.prod(
            math.ceil(length / side) for length, side in zip(px, _cell(mpp, stride), strict=True)
        )
        levels.append(
            {
                "level": index,
                "width": level.size.width,
                "height": level.size.height,
                "downsample": level.downsample,
                "mpp": None if mpp is None else mpp.side * level.downsample,
                "tiles": tiles,
                "estimated_seconds": round(tiles * _TISSUE_SHARE / _TILES_PER_SECOND, 1),
            }
        )
    return {
        "slide": str(path),
        "vendor": slide.vendor,
        "bytes": sum(file.stat().st_size for file in slide_files(path)),
        "mpp": None if mpp is None else {"x": mpp.x, "y": mpp.y},
        "objective": slide.objective,
        "levels": levels,
        "warnings": warnings,
        "analysis": _analysis(checked),
        "refused": None if refusal is None else refusal.cause,
    }


def _cell(mpp: Mpp | None, stride: int) -> tuple[float, float]:
    """Width and height in level px of a cell of square px, where a level is used as it is."""
    return (stride, stride) if mpp is None else (stride * mpp.stretch.x, stride * mpp.stretch.y)


def _analysis(checked: CheckedSlide | None) -> dict[str, Any] | None:
    """What the model would be shown; None where no model decides it."""
    if checked is None or checked.chosen is None:
        return None
    resolution, grid = checked.chosen
    return {
        "level": resolution.level,
        "mpp": {"x": resolution.mpp.x, "y": resolution.mpp.y},
        "columns": grid.size.width,
        "rows": grid.size.height,
    }


def _show(facts: dict[str, Any]) -> None:
    out = Console()
    first = facts["levels"][0]
    out.print(f"[bold]{facts['slide']}[/]", highlight=False)
    mpp = facts["mpp"]
    resolution = "resolution unknown" if mpp is None else str(Mpp(**mpp))
    objective = f", {facts['objective']:g}×" if facts["objective"] else ""
    out.print(
        f"{facts['vendor']}, {first['width']:,} × {first['height']:,} px, {resolution}{objective}, "
        f"{facts['bytes'] / 1e6:,.1f} MB",
        highlight=False,
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("level", "px", "downsample", "µm/px", "tiles", "about"):
        table.add_column(heading, justify="right")
    for level in facts["levels"]:
        table.add_row(
            str(level["level"]),
            f"{level['width']:,} × {level['height']:,}",
            f"{level['downsample']:g}",
            "–" if level["mpp"] is None else f"{level['mpp']:.3g}",
            f"{level['tiles']:,}",
            _duration(level["estimated_seconds"]),
        )
    out.print(table)
    out.print(
        f"[dim]About: if {_TISSUE_SHARE:.0%} of the tiles hold tissue, at "
        f"{_TILES_PER_SECOND:.0f} tiles/s (two CPU cores).[/]"
    )
    analysis = facts["analysis"]
    if analysis is not None:
        out.print(
            f"The model would see {analysis['columns']:,} × {analysis['rows']:,} tiles of level "
            f"{analysis['level']} at {Mpp(**analysis['mpp'])}.",
            highlight=False,
        )
    for warning in facts["warnings"]:
        out.print(f"[yellow]! {warning}[/]", highlight=False)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "< 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
