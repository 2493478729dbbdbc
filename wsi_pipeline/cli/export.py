"""``wsi export``: a result as picture, outlines, table, mask or archive."""

import enum
import json as json_format
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.destination import check_free, default_path
from wsi_pipeline.stitch.result import Result

Palette = Literal["viridis", "inferno", "cividis"]
Values = Literal["255", "class"]

_HEATMAP = "Heatmap"


class Export(enum.StrEnum):
    """What a result can be exported as."""

    HEATMAP = "heatmap"
    GEOJSON = "geojson"
    CSV = "csv"
    PARQUET = "parquet"
    TIFF = "tiff"
    ZIP = "zip"


def export(
    result: Annotated[
        Path, typer.Argument(help="The result: a [bold].zarr[/] folder.", metavar="RESULT")
    ],
    exports: Annotated[
        list[Export],
        typer.Argument(
            help="One or more of [bold]heatmap[/] (PNG), [bold]geojson[/] (tumour outlines for "
            "QuPath), [bold]csv[/] and [bold]parquet[/] (tile table), [bold]tiff[/] (mask for "
            "ASAP, QuPath, OpenSlide), [bold]zip[/] (the whole result as one file).",
            metavar="EXPORT",
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
            help="Probability at and above which there is tumour. "
            "[dim]\\[default: the result's][/]",
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
        Values,
        typer.Option(
            help="255: 255 is tumour, 0 everything else. class: 0 not tumour, 1 tumour, 255 not "
            "analysed.",
            rich_help_panel="TIFF",
        ),
    ] = "255",
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

    A stricter mask for ASAP, under a name of its own:

        wsi export slide.zarr tiff --threshold 0.9 -o strict.tiff

    Everything into one folder:

        wsi export slide.zarr heatmap geojson parquet tiff zip -o reports/
    """
    paths = _destinations(result, list(dict.fromkeys(exports)), output)
    opened = Result(result)
    for path in paths.values():
        check_free(path, overwrite=overwrite)  # refuse before the first is written
    console = Console(stderr=True)
    for item, path in paths.items():
        write = _writer(
            item,
            opened,
            threshold=threshold,
            slide=slide,
            palette=palette,
            side=side,
            tiles=tiles,
            values=values,
        )
        try:
            with console.status(f"writing {path.name}"):
                write(path, overwrite=overwrite)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error}") from error
        size = path.stat().st_size
        if json:
            facts = {"written": str(path), "export": item.value, "bytes": size}
            sys.stdout.write(json_format.dumps(facts) + "\n")
        else:
            Console().print(f"{path}  {_readable(size)}", highlight=False, soft_wrap=True)


def _destinations(result: Path, exports: list[Export], output: Path | None) -> dict[Export, Path]:
    """The file of each export."""
    if output is not None and not output.is_dir():
        if output.suffix and len(exports) == 1:
            return {exports[0]: output}
        if output.exists() or output.suffix:
            raise UsageError(f"{output} is not a folder; several exports need one for --output")
        output.mkdir(parents=True)
    return {item: default_path(result, item.value, output) for item in exports}


def _writer(
    item: Export,
    result: Result,
    *,
    threshold: float | None,
    slide: Path | None,
    palette: Palette,
    side: int,
    tiles: bool,
    values: Values,
) -> Callable[..., None]:
    """The function that writes an export, called with its path; imported when it is wanted."""
    # ruff: noqa: PLC0415
    match item:
        case Export.HEATMAP:
            from wsi_pipeline.export.heatmap import write_heatmap

            return partial(
                write_heatmap, result, slide=slide, threshold=threshold, palette=palette, side=side
            )
        case Export.GEOJSON:
            from wsi_pipeline.export.geojson import write_geojson

            return partial(write_geojson, result, threshold=threshold, tiles=tiles)
        case Export.CSV:
            from wsi_pipeline.export.table import write_csv

            return partial(write_csv, result, threshold=threshold)
        case Export.PARQUET:
            from wsi_pipeline.export.table import write_parquet

            return partial(write_parquet, result, threshold=threshold)
        case Export.TIFF:
            from wsi_pipeline.export.mask_tiff import write_tiff

            return partial(write_tiff, result, threshold=threshold, values=values)
        case Export.ZIP:
            from wsi_pipeline.export.archive import write_zip

            return partial(write_zip, result)


def _readable(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
