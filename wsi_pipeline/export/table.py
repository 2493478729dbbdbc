"""The tile table: one row per tile the model looked at, as CSV or Parquet."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from wsi_pipeline.export.decision import chosen_threshold
from wsi_pipeline.export.destination import draft
from wsi_pipeline.stitch.record import to_plain
from wsi_pipeline.stitch.result import Result

_MEANINGS = {
    "x": "left edge of the patch, level-0 px",
    "y": "top edge of the patch, level-0 px",
    "width": "width of the patch, level-0 px; may reach over the slide's edge",
    "height": "height of the patch, level-0 px; may reach over the slide's edge",
    "tissue": "tissue fraction of the patch, 0-1",
    "prob_tumour": "probability of tumour in the patch, 0-1; null: could not be read",
    "tumour": "1 where prob_tumour reaches the threshold, else 0; null: could not be read",
}


def tile_table(result: Result, threshold: float | None = None) -> pa.Table:
    """The tiles in plan order.

    Columns: ``x``, ``y``, ``width``, ``height`` (level-0 px, int64: the patch the model saw),
    ``tissue``, ``prob_tumour`` (float32), ``tumour`` (uint8). ``prob_tumour`` and ``tumour`` are
    null for tiles that could not be read. Probabilities are the patches' own: where patches
    overlap, a cell of the heatmap is the mean of several rows.

    Args:
        result: The result.
        threshold: Probability (0-1) at and above which a tile is tumour; None takes the result's.

    Raises:
        UsageError: the threshold is not a probability.
        ResultError: the result is damaged.
    """
    value = chosen_threshold(result, threshold)
    tiles = result.tile_table()
    probability = tiles["probability"]
    unreadable = np.isnan(probability)
    patch = result.record.grid.patch_0
    width, height = (
        np.full(len(probability), round(side), np.int64) for side in (patch.x, patch.y)
    )
    # In float32, as everywhere: 0.5 stored and 0.5 asked for must meet.
    tumour = (probability >= np.float32(value)).astype(np.uint8)
    columns = {
        "x": pa.array(tiles["x"]),
        "y": pa.array(tiles["y"]),
        "width": pa.array(width),
        "height": pa.array(height),
        "tissue": pa.array(tiles["tissue"]),
        "prob_tumour": pa.array(probability, mask=unreadable),
        "tumour": pa.array(tumour, mask=unreadable),
    }
    fields = [
        pa.field(name, column.type, metadata={"meaning": _MEANINGS[name]})
        for name, column in columns.items()
    ]
    record = result.record
    about = {
        "slide": to_plain(record.slide),
        "model": to_plain(record.model),
        "grid": to_plain(record.grid),
        "fingerprint": record.fingerprint,
    }
    metadata = {"wsi_pipeline": json.dumps({**about, "threshold": value}, ensure_ascii=False)}
    return pa.table(list(columns.values()), schema=pa.schema(fields, metadata=metadata))


def write_csv(
    result: Result, path: Path, *, threshold: float | None = None, overwrite: bool = False
) -> None:
    """Write :func:`tile_table` as CSV with a header; null is an empty cell.

    Raises:
        UsageError: the threshold is no probability, or a file is in the way.
        ResultError: the result is damaged.
    """
    options = pyarrow.csv.WriteOptions(quoting_header="none", batch_size=65536)
    with draft(path, overwrite=overwrite) as new:
        pyarrow.csv.write_csv(tile_table(result, threshold), new, options)


def write_parquet(
    result: Result, path: Path, *, threshold: float | None = None, overwrite: bool = False
) -> None:
    """Write :func:`tile_table` as Parquet.

    The schema's metadata ``wsi_pipeline`` (JSON) says which slide, model, grid and threshold;
    each column's ``meaning`` says what it holds.

    Raises:
        UsageError: the threshold is no probability, or a file is in the way.
        ResultError: the result is damaged.
    """
    with draft(path, overwrite=overwrite) as new:
        pyarrow.parquet.write_table(tile_table(result, threshold), new, compression="zstd")
