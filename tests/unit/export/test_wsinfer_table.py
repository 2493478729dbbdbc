"""The table of WSInfer: its columns, its order of rows, float32 as pandas writes it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.errors import UsageError
from wsi_pipeline.export.wsinfer_table import write_wsinfer_csv
from wsi_pipeline.stitch.result import Result


def test_columns_rows_and_numbers(make_result: Callable[..., Result], tmp_path: Path) -> None:
    tiles = np.full((7, 10), 0.25, np.float32)
    tiles[0, 1], tiles[1, 0], tiles[2, 0] = 0.9564111828804016, 1, np.nan
    tiles[0, 0] = 3.4273725e-12
    path = tmp_path / "slide.csv"
    result = make_result(tiles)
    write_wsinfer_csv(result, path)
    lines = path.read_text().splitlines()
    assert lines[0] == "minx,miny,width,height,prob_normal,prob_tumour"
    assert lines[1] == "0,0,100,100,1.0,3.4273725e-12"
    assert lines[2] == "0,100,100,100,0.0,1.0"
    # The tile at (0, 200) could not be read.
    assert lines[3] == "0,300,100,100,0.75,0.25"
    assert lines[7] == "100,0,100,100,0.043588817,0.9564112"
    assert len(lines) == 70
    with pytest.raises(UsageError, match="already exists"):
        write_wsinfer_csv(result, path)
