"""What a result can be exported as: one entry per format, and what each is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.export.options import ExportOptions
from wsi_pipeline.stitch.layout import SUFFIX
from wsi_pipeline.stitch.result import Result

# ruff: noqa: PLC0415 - a writer's libraries (matplotlib, SciPy, PyArrow) are imported when it runs


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One format.

    Attributes:
        name: What ``wsi export`` calls it.
        suffix: Added to the slide's name.
        summary: What it is, a few words for ``--help``.
        write: Writes a result to a file that appears when it is complete.
    """

    name: str
    suffix: str
    summary: str
    write: Callable[[Result, Path, ExportOptions], None]


def _heatmap(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.heatmap import write_heatmap

    write_heatmap(
        result,
        path,
        slide=options.slide,
        threshold=options.threshold,
        palette=options.palette,
        side=options.side,
        of=options.of,
        overwrite=options.overwrite,
    )


def _geojson(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.geojson import write_geojson

    write_geojson(
        result,
        path,
        threshold=options.threshold,
        tiles=options.tiles,
        overwrite=options.overwrite,
    )


def _csv(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.table import write_csv

    write_csv(result, path, threshold=options.threshold, overwrite=options.overwrite)


def _wsinfer_csv(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.wsinfer_table import write_wsinfer_csv

    write_wsinfer_csv(result, path, overwrite=options.overwrite)


def _parquet(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.table import write_parquet

    write_parquet(result, path, threshold=options.threshold, overwrite=options.overwrite)


def _tiff(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.mask_tiff import write_tiff

    write_tiff(
        result,
        path,
        threshold=options.threshold,
        values=options.values,
        of=options.of,
        overwrite=options.overwrite,
    )


def _zip(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.export.archive import write_zip

    write_zip(result, path, overwrite=options.overwrite)


#: By name, in the order of ``--help``.
FORMATS: dict[str, ExportFormat] = {
    one.name: one
    for one in (
        ExportFormat("heatmap", ".heatmap.png", "PNG of the probability over the slide", _heatmap),
        ExportFormat("geojson", ".geojson", "outlines of every class for QuPath", _geojson),
        ExportFormat("csv", ".tiles.csv", "tile table", _csv),
        ExportFormat("wsinfer-csv", ".csv", "tile table in WSInfer's columns", _wsinfer_csv),
        ExportFormat("parquet", ".tiles.parquet", "tile table", _parquet),
        ExportFormat("tiff", ".mask.tiff", "mask for ASAP, QuPath, OpenSlide", _tiff),
        ExportFormat("zip", f"{SUFFIX}.zip", "the whole result as one file", _zip),
    )
}
