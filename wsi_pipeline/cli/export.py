"""``wsi export``: a result as picture, outlines, table, mask or archive."""

import json as json_format
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.destination import check_free, default_path
from wsi_pipeline.export.formats import FORMATS
from wsi_pipeline.export.options import ExportOptions, MaskValues, Palette
from wsi_pipeline.stitch.result import Result

_HEATMAP = "Heatmap"
_FORMATS = ", ".join(f"[bold]{one.name}[/] ({one.summary})" for one in FORMATS.values())


def _check_formats(names: list[str]) -> list[str]:
    for name in names:
        if name not in FORMATS:
            raise typer.BadParameter(
                f"there is no export {name!r}; choose from {', '.join(FORMATS)}"
            )
    return names


def export(
    result: Annotated[
        Path, typer.Argument(help="The result: a [bold].zarr[/] folder.", metavar="RESULT")
    ],
    exports: Annotated[
        list[str],
        typer.Argument(
            help=f"One or more of {_FORMATS}.",
            metavar="FORMAT",
            callback=_check_formats,
            autocompletion=lambda: list(FORMATS),
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, or an existing folder. [dim]\\[default: beside the result, "
            "NAME.heatmap.png and so on][/]",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability at and above which a cell is of a class. "
            "[dim]\\[default: the result's; of several classes the most likely][/]",
            metavar="P",
            min=0,
            max=1,
            show_default=False,
        ),
    ] = None,
    slide: Annotated[
        Path | None,
        typer.Option(
            help="The slide, to show the tissue under the heatmap.", rich_help_panel=_HEATMAP
        ),
    ] = None,
    palette: Annotated[
        Palette,
        typer.Option(
            help="Colours; all are suitable for colour-blind users.", rich_help_panel=_HEATMAP
        ),
    ] = "viridis",
    side: Annotated[
        int,
        typer.Option(
            help="Longer side of the slide's picture, px.",
            min=400,
            max=8000,
            rich_help_panel=_HEATMAP,
        ),
    ] = 1600,
    tiles: Annotated[
        bool,
        typer.Option(
            "--tiles",
            help="Also write each tile with its probability.",
            rich_help_panel="GeoJSON",
        ),
    ] = False,
    values: Annotated[
        MaskValues,
        typer.Option(
            help="255: 255 is the class, 0 everything else. class: 0 not of the class, 1 "
            "of it, 255 not analysed.",
            rich_help_panel="TIFF",
        ),
    ] = "255",
    of: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="The class that heatmap and TIFF show, of a model with several; attention: where "
            "the networks of the slide's answer look. "
            "[dim]\\[default: the model's positive class][/]",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same names.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file written.")
    ] = False,
) -> None:
    """Export a result as picture, outlines, table, mask or archive.

    The result is only read. Coordinates are pixels of the slide's finest level. Files appear
    under their names when they are complete.

    [bold]Examples[/]

    A heatmap over the tissue, beside the result:

        wsi export slide.zarr heatmap --slide slide.svs

    Outlines for QuPath (drag the file onto the open slide) and the tile table:

        wsi export slide.zarr geojson csv

    Where a model of several kinds of tissue sees necrosis:

        wsi export slide.zarr heatmap --class necrosis

    A stricter mask for ASAP, under a name of its own:

        wsi export slide.zarr tiff --threshold 0.9 -o strict.tiff

    Everything into one folder:

        wsi export slide.zarr heatmap geojson parquet tiff zip -o reports/
    """
    paths = _destinations(result, list(dict.fromkeys(exports)), output)
    opened = Result(result)
    for path in paths.values():
        check_free(path, overwrite=overwrite)  # refuse before the first is written
    options = ExportOptions(
        threshold=threshold,
        overwrite=overwrite,
        slide=slide,
        palette=palette,
        side=side,
        tiles=tiles,
        values=values,
        of=of,
    )
    console = Console(stderr=True)
    for name, path in paths.items():
        try:
            with console.status(f"writing {path.name}"):
                FORMATS[name].write(opened, path, options)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error}") from error
        size = path.stat().st_size
        if json:
            facts = {"written": str(path), "export": name, "bytes": size}
            sys.stdout.write(json_format.dumps(facts) + "\n")
        else:
            Console().print(f"{path}  {_readable(size)}", highlight=False, soft_wrap=True)


def _destinations(result: Path, names: list[str], output: Path | None) -> dict[str, Path]:
    """The file of each export, by the name of its format."""
    if output is not None and not output.is_dir():
        if output.suffix and len(names) == 1:
            return {names[0]: output}
        if output.exists() or output.suffix:
            raise UsageError(f"{output} is not a folder; several exports need one for --output")
        output.mkdir(parents=True)
    return {name: default_path(result, FORMATS[name].suffix, output) for name in names}


def _readable(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
