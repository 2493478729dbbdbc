"""AnnData for scverse: a row for each tile, its place as squidpy and SpatialData expect it.

``X``: features, float32 ``(n, size)``. ``obs``: ``x``, ``y``, ``width``, ``height`` of the patch
(level-0 px), ``tissue`` and ``prob_NAME`` of each class, if the model has some.
``obsm["spatial"]``: middle of the patch, level-0 px, float64 ``(n, 2)``. ``uns["spatial"][NAME]``:
scale factors of the full-resolution image, and the slide's facts. Tiles that could not be read are
left out.
"""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from wsi_pipeline.features.origin import ORIGIN, facts
from wsi_pipeline.features.tiles import feature_tiles
from wsi_pipeline.stitch.result import Result


def write_anndata(result: Result, path: Path) -> None:
    """Write the features of a result.

    Memory: all features in float32, 184 MB of 30,000 tiles with 1,536 each.

    Args:
        result: Holds features.
        path: The new file.

    Raises:
        ResultError: it holds none, or is damaged.
    """
    tiles, record = feature_tiles(result), result.record
    patch, mpp = record.grid.patch_0, record.slide.mpp
    values = np.empty((len(tiles), tiles.size), np.float32)
    start = 0
    for part in tiles.parts():
        values[start : start + len(part)] = part
        start += len(part)
    obs = pd.DataFrame(
        {
            "x": tiles.corners[:, 0],
            "y": tiles.corners[:, 1],
            "width": np.full(len(tiles), round(patch.x)),
            "height": np.full(len(tiles), round(patch.y)),
            "tissue": tiles.tissue,
            **{f"prob_{name}": values for name, values in tiles.probabilities.items()},
        },
        index=pd.Index([f"{result.name}-{row}" for row in tiles.rows], dtype="object"),
    )
    var = pd.DataFrame(index=pd.Index([f"feature-{i}" for i in range(tiles.size)], dtype="object"))
    middles = tiles.corners + np.array([patch.x, patch.y]) / 2
    scale = {"spot_diameter_fullres": float(patch.x), "tissue_hires_scalef": 1.0}
    about = {"mpp_x": mpp.x, "mpp_y": mpp.y, "width": record.slide.width}
    spatial = {"scalefactors": scale, "images": {}}
    spatial["metadata"] = {**about, "height": record.slide.height}
    annotated = anndata.AnnData(
        X=values,
        obs=obs,
        var=var,
        obsm={"spatial": middles},
        uns={"spatial": {result.name: spatial}, ORIGIN: facts(result)},
    )
    annotated.write_h5ad(path)
