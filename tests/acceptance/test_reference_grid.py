"""The tile grid beside that of another system, from the table it ships for a one-colour slide."""

import csv
from pathlib import Path

import numpy as np
import pytest
from acceptance_support import Wsi

from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing.slides import write_pyramid


@pytest.mark.slow
def test_same_corners_and_area_where_stride_is_the_patch(
    wsi: Wsi, data: Path, tmp_path: Path
) -> None:
    table = data / "reference" / "wsinfer" / "breast-tumor-resnet34.tcga-brca" / "purple.csv"
    with table.open() as file:
        rows = list(csv.DictReader(file))
    side = int(rows[0]["width"])
    slide = tmp_path / "purple.tiff"
    colour = np.array([160, 32, 240], np.uint8)
    write_pyramid(slide, np.broadcast_to(colour, (4096, 4096, 3)).copy(), mpp=0.25, tile=256)
    patch = wsi.package.description.patch_px
    code, summary = wsi.run(slide, "-o", tmp_path / "out", "--mpp", 0.25 * side / patch)
    assert code == 0, summary
    ours = Result(tmp_path / "out" / "purple.zarr").tile_table()
    corners = set(zip(ours["x"].tolist(), ours["y"].tolist(), strict=True))
    theirs = {(int(row["minx"]), int(row["miny"])) for row in rows}
    assert corners == theirs
