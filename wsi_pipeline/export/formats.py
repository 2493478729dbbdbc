"""What a result can be exported as: one entry per format, and what each is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.destination import draft
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
        writer: Writes a result to a file that appears when it is complete.
        needs: What the result must hold; ``layer``: classes, or the attention of an encoder's
            slide-level answer; anything where empty.
    """

    name: str
    suffix: str
    summary: str
    writer: Callable[[Result, Path, ExportOptions], None]
    needs: Literal["classes", "layer", "features", ""] = "classes"

    def fits(self, result: Result) -> bool:
        """Whether the result holds what the format is of."""
        if self.needs == "features":
            return result.record.features is not None
        classes = bool(result.classes.members)
        return {"classes": classes, "layer": classes or result.has_attention, "": True}[self.needs]

    def is_up_to_date(self, result: Result, path: Path) -> bool:
        """Whether a file was written of this very result; False of formats that do not keep it."""
        if self.needs != "features":
            return False
        from wsi_pipeline.features.origin import is_of

        return is_of(path, result)

    def write(self, result: Result, path: Path, options: ExportOptions) -> None:
        """Write a result.

        Raises:
            UsageError: the result does not hold what the format is of.
        """
        if not self.fits(result) and self.needs == "features":
            raise UsageError(
                f"{result.path} holds no features, so it cannot be exported as {self.name}; "
                "`wsi features` makes them"
            )
        if not self.fits(result):
            able = [one.name for one in FORMATS.values() if one.fits(result)]
            raise UsageError(
                f"{result.path} is of an encoder and has no classes, so it cannot be exported as "
                f"{self.name}; choose {' or '.join(able)}"
            )
        self.writer(result, path, options)


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


def _h5(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.features.hdf5 import write_hdf5

    with draft(path, overwrite=options.overwrite) as new:
        write_hdf5(result, new)


def _h5ad(result: Result, path: Path, options: ExportOptions) -> None:
    from wsi_pipeline.features.annotated import write_anndata

    with draft(path, overwrite=options.overwrite) as new:
        write_anndata(result, new)


#: By name, in the order of ``--help``.
FORMATS: dict[str, ExportFormat] = {
    one.name: one
    for one in (
        ExportFormat(
            "heatmap", ".heatmap.png", "PNG of the probability over the slide", _heatmap, "layer"
        ),
        ExportFormat(
            "geojson", ".geojson", "outlines of every class for QuPath", _geojson, "layer"
        ),
        ExportFormat("csv", ".tiles.csv", "tile table", _csv, "layer"),
        ExportFormat("wsinfer-csv", ".csv", "tile table in WSInfer's columns", _wsinfer_csv),
        ExportFormat("parquet", ".tiles.parquet", "tile table", _parquet, "layer"),
        ExportFormat("tiff", ".mask.tiff", "mask for ASAP, QuPath, OpenSlide", _tiff, "layer"),
        ExportFormat("h5", ".h5", "features as CLAM and TRIDENT read them", _h5, "features"),
        ExportFormat("h5ad", ".h5ad", "features as AnnData, for scverse", _h5ad, "features"),
        ExportFormat("zip", f"{SUFFIX}.zip", "the whole result as one file", _zip, ""),
    )
}
