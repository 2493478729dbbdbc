"""The tile table as WSInfer writes it, for programs that read its ``model-outputs-csv``."""

import csv
from pathlib import Path

import numpy as np

from wsi_pipeline.export.destination import draft
from wsi_pipeline.stitch.result import Result


def write_wsinfer_csv(result: Result, path: Path, *, overwrite: bool = False) -> None:
    """Columns ``minx,miny,width,height`` (level-0 px) and ``prob_NAME`` for each class, in order.

    The order of rows is that program's: by ``minx``, then ``miny``. Numbers are float32 with as
    many digits as tell them apart (pandas 2 and later). Of a network with one number it has one
    column; the import calls the other class ``not NAME``, which is left out. Tiles that could not
    be read are left out.

    Raises:
        UsageError: a file is in the way.
        ResultError: the result is damaged.
    """
    tiles, classes = result.tile_table(), result.classes
    planes = np.moveaxis(np.asarray(tiles["probability"], np.float32), 0, -1)
    positive = classes.plane_of(classes.positive, planes)
    columns = {}
    for one in classes.members:
        if classes.task != "binary":
            columns[one.name] = classes.plane_of(one.name, planes)
        elif one.name == classes.positive:
            columns[one.name] = positive
        elif one.name != f"not {classes.positive}":
            columns[one.name] = np.float32(1) - positive
    patch = result.record.grid.patch_0
    width, height = round(patch.x), round(patch.y)
    order = np.lexsort((tiles["y"], tiles["x"]))
    with draft(path, overwrite=overwrite) as new, new.open("w", encoding="utf-8", newline="") as to:
        table = csv.writer(to, lineterminator="\n")
        table.writerow(["minx", "miny", "width", "height", *(f"prob_{name}" for name in columns)])
        for row in order[~np.isnan(positive[order])]:
            place = (int(tiles["x"][row]), int(tiles["y"][row]), width, height)
            table.writerow([*place, *(str(plane[row]) for plane in columns.values())])
