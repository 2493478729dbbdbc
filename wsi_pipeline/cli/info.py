"""``wsi info``: what a slide is, and what analysing it would take."""

import json as json_format
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from wsi_pipeline.errors import SlideMetadataError
from wsi_pipeline.slide.files import slide_files
from wsi_pipeline.slide.info import SlideInfo
from wsi_pipeline.slide.probe import probe
from wsi_pipeline.slide.resolution import slide_mpp

#: Tiles per second assumed for the estimate: int8 with refinement on two cores (``make bench``).
_TILES_PER_SECOND = 100.0
#: Share of the tiles of a lymph-node slide that hold tissue, for the estimate.
_TISSUE_SHARE = 0.4


def info(
    slide: Annotated[Path, typer.Argument(help="A slide file, or a folder of DICOM files.")],
    patch: Annotated[
        int, typer.Option(help="Side of a tile in px, for the estimate.", min=1)
    ] = 299,
    slide_mpp: Annotated[
        float | None, typer.Option(help="µm per level-0 px to believe instead of the file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Show a slide's format, levels, resolution and size, and estimate the work per level.

    The file is checked in a child process, so that a damaged or hostile one harms nothing.

    [bold]Examples[/]

        wsi info slide.svs

        wsi info slide.svs --json

    Exit codes: 0 a sound slide, 3 a slide that cannot be analysed, 2 wrong usage.
    """
    probed = probe(slide)
    facts = _facts(slide, probed.info, patch, slide_mpp)
    if probed.unreadable:
        facts["warnings"].append(
            f"{probed.unreadable} of {probed.sampled} sampled places cannot be decoded: "
            f"{probed.reason}"
        )
    if json:
        sys.stdout.write(json_format.dumps(facts) + "\n")
        return
    _show(facts)


def _facts(path: Path, slide: SlideInfo, patch: int, override: float | None) -> dict[str, Any]:
    warnings = list(slide.warnings)
    if slide.colours_corrected:
        warnings.append(f"its colours are corrected: {slide.colours_corrected}")
    mpp = slide.mpp
    try:
        mpp, oddities = slide_mpp(slide, override)
        warnings += oddities
    except SlideMetadataError as error:
        warnings.append(error.cause)
    size = sum(file.stat().st_size for file in slide_files(path))
    levels: list[dict[str, Any]] = []
    for index, level in enumerate(slide.levels):
        columns, rows = (
            math.ceil(level.size.width / patch),
            math.ceil(level.size.height / patch),
        )
        tiles = columns * rows
        levels.append(
            {
                "level": index,
                "width": level.size.width,
                "height": level.size.height,
                "downsample": level.downsample,
                "mpp": None if mpp is None else mpp.mean * level.downsample,
                "tiles": tiles,
                "estimated_seconds": round(tiles * _TISSUE_SHARE / _TILES_PER_SECOND, 1),
            }
        )
    return {
        "slide": str(path),
        "vendor": slide.vendor,
        "bytes": size,
        "mpp": None if mpp is None else {"x": mpp.x, "y": mpp.y},
        "objective": slide.objective,
        "levels": levels,
        "warnings": warnings,
    }


def _show(facts: dict[str, Any]) -> None:
    out = Console()
    first = facts["levels"][0]
    out.print(f"[bold]{facts['slide']}[/]", highlight=False)
    mpp = facts["mpp"]
    resolution = "resolution unknown" if mpp is None else f"{(mpp['x'] + mpp['y']) / 2:.4g} µm/px"
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
    for warning in facts["warnings"]:
        out.print(f"[yellow]! {warning}[/]", highlight=False)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "< 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
