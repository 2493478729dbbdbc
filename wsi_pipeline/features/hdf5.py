"""HDF5 in the layout that CLAM and TRIDENT read: ``features`` and ``coords``, row for row.

``features``: float32 ``(n, size)``. ``coords``: int64 ``(n, 2)``, x and y of the top-left corner of
each patch in level-0 px, with TRIDENT's attributes. Tiles that could not be read are left out.

Sources: Lu et al. 2021 (CLAM) and Zhang et al. 2025 (TRIDENT), with their programs.
"""

from pathlib import Path

import h5py
import numpy as np

from wsi_pipeline.features.origin import ORIGIN, facts
from wsi_pipeline.features.tiles import feature_tiles
from wsi_pipeline.stitch.result import Result

#: µm per px of an objective of power 1, as the objectives of scanners are called: 0.25 is 40.
MPP_OF_ONE = 10.0


def write_hdf5(result: Result, path: Path) -> None:
    """Write the features of a result.

    Memory: one stored chunk of features.

    Args:
        result: Holds features.
        path: The new file.

    Raises:
        ResultError: it holds none, or is damaged.
    """
    tiles, record = feature_tiles(result), result.record
    grid = record.grid
    about = {"name": result.name, "savetodir": "."}
    with h5py.File(path, "w") as file:
        features = file.create_dataset("features", (len(tiles), tiles.size), np.float32)
        start = 0
        for part in tiles.parts():
            features[start : start + len(part)] = part
            start += len(part)
        features.attrs.update(
            {**about, "encoder": record.model.name, "encoder_sha256": record.model.sha256}
        )
        coords = file.create_dataset("coords", data=tiles.corners)
        coords.attrs.update(
            {
                "patch_size": grid.patch_px,
                "patch_size_level0": round(grid.patch_0.x),
                "level0_magnification": round(MPP_OF_ONE / record.slide.mpp.side),
                "target_magnification": round(MPP_OF_ONE / grid.mpp.side),
                "overlap": grid.patch_px - grid.stride_px,
                "level0_width": record.slide.width,
                "level0_height": record.slide.height,
                **about,
            }
        )
        file.attrs[ORIGIN] = facts(result)
