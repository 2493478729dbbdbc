"""The tile table: one row per tile the model looked at, as CSV or Parquet."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from wsi_pipeline.export.decision import chosen_threshold
from wsi_pipeline.export.destination import draft
from wsi_pipeline.stitch.layout import ATTENTION
from wsi_pipeline.stitch.record import to_plain
from wsi_pipeline.stitch.result import Result

_MEANINGS = {
    "x": "left edge of the patch, level-0 px; of maps: of the part that is answered for",
    "y": "top edge of the patch, level-0 px",
    "width": "width of the patch, level-0 px; may reach over the slide's edge",
    "height": "height of the patch, level-0 px; may reach over the slide's edge",
    "tissue": "tissue fraction of the patch, 0-1",
    "spread": "standard deviation of the probability over eight orientations, 0-0.5; of several "
    "classes that of the most likely one; null: could not be read",
    "attention": "rank of the tile among the slide's, 0-1, by how much the networks of the slide's "
    "answer looked at it; null: could not be read",
    "class": "most likely class, or of a multilabel model none; null: could not be read",
}


def tile_table(result: Result, threshold: float | None = None) -> pa.Table:
    """The tiles in plan order.

    Columns: ``x``, ``y``, ``width``, ``height`` (level-0 px, int64: the patch the model saw),
    ``tissue``, and ``prob_NAME`` (float32) for each class that has probabilities: of a tumour model
    ``prob_tumour``. Then, of a binary model, its positive class, ``tumour`` (uint8, 1 from the
    threshold on); of another, ``class``, the name. An encoder's result has none of these. Last
    ``attention``, where networks of a slide-level answer looked at the tiles. What concerns the
    model is null for tiles that could not be read. Probabilities are the patches' own: where
    patches overlap, a cell of the heatmap is the mean of several rows. Of a model that answers with
    maps a row is one map: the part of the patch inside the margins, with the mean of its
    probabilities.

    Args:
        result: The result.
        threshold: Probability (0-1) at and above which a tile is tumour; None takes the result's.

    Raises:
        UsageError: the threshold is not a probability.
        ResultError: the result is damaged.
    """
    value = chosen_threshold(result, threshold)
    tiles = result.tile_table()
    patch = result.record.grid.patch_0
    width, height = (np.full(len(tiles["x"]), round(side), np.int64) for side in (patch.x, patch.y))
    columns = {
        "x": pa.array(tiles["x"]),
        "y": pa.array(tiles["y"]),
        "width": pa.array(width),
        "height": pa.array(height),
        "tissue": pa.array(tiles["tissue"]),
    }
    if result.classes.members:
        columns |= _answers(result, tiles["probability"], value)
    if result.has_attention:
        ranks = np.asarray(result.array(f"tiles/{ATTENTION}")[...])
        columns[ATTENTION] = pa.array(ranks, mask=np.isnan(ranks))
    fields = [
        pa.field(name, column.type, metadata={"meaning": _meaning(name)})
        for name, column in columns.items()
    ]
    record = result.record
    about = {
        "slide": to_plain(record.slide),
        "model": to_plain(record.model),
        "grid": to_plain(record.grid),
        "fingerprint": record.fingerprint,
    }
    if record.slide_answer is not None and record.slide_answer.fitted:
        about["slide_answer"] = to_plain(record.slide_answer)
    metadata = {"wsi_pipeline": json.dumps({**about, "threshold": value}, ensure_ascii=False)}
    return pa.table(list(columns.values()), schema=pa.schema(fields, metadata=metadata))


def _answers(result: Result, stored: NDArray[np.float32], threshold: float) -> dict[str, pa.Array]:
    """The columns of the classes; ``stored`` is ``(n,)``, or ``(n, planes)``."""
    classes, planes = result.classes, np.moveaxis(stored, 0, -1)
    probability = {one.name: classes.plane_of(one.name, planes) for one in classes.planes}
    unreadable = np.isnan(next(iter(probability.values())))
    labels = classes.decide(planes[..., None, :], threshold)[0]
    columns = {
        f"prob_{name}": pa.array(np.ascontiguousarray(plane), mask=unreadable)
        for name, plane in probability.items()
    }
    spread = result.record.spread
    if spread is not None and spread.mean is not None:
        columns["spread"] = pa.array(result.array("tiles/spread")[...], mask=unreadable)
    if classes.task == "binary":
        fixed = classes.positive in (*columns, "x", "y", "width", "height", "tissue")
        columns[f"is_{classes.positive}" if fixed else classes.positive] = pa.array(
            labels, mask=unreadable
        )
    else:
        names = {label: one.name for label, one in classes.labels.items()}
        columns["class"] = pa.array([names[int(label)] for label in labels], mask=unreadable)
    return columns


def _meaning(column: str) -> str:
    if column.startswith("prob_"):
        name = column.removeprefix("prob_")
        return f"probability of {name} in the patch, 0-1; null: could not be read"
    unlisted = f"1 where prob_{column} reaches the threshold, else 0; null: could not be read"
    return _MEANINGS.get(column, unlisted)


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
