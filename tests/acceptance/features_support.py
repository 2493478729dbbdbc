"""Results of an encoder whose features are drawn numbers."""

import dataclasses
from pathlib import Path

import numpy as np

from wsi_pipeline.classes import NO_CLASSES
from wsi_pipeline.grid import make_grid
from wsi_pipeline.slide.resolution import choose_resolution
from wsi_pipeline.stitch.cells import stitch_tissue
from wsi_pipeline.stitch.feature_array import FeatureArray
from wsi_pipeline.stitch.features_record import FeaturesRecord
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.stitch.writer import write_store
from wsi_pipeline.testing import ArraySlide
from wsi_pipeline.testing.models import NORMAL_COLOUR
from wsi_pipeline.testing.records import make_record
from wsi_pipeline.tiles.plan import make_plan

#: Tiles that could not be read, in plan order.
LOST = [3, 300]


def feature_result(
    path: Path,
    *,
    size: int = 4,
    seed: int = 1,
    encoder: str = "small",
    shift: float = 0,
    mpp: float = 0.25,
    patch: int = 32,
) -> Result:
    """A store of 352 tiles, of which two could not be read, in two chunks of features.

    Args:
        path: ``NAME.zarr``.
        size: Features of a tile.
        seed: Of the numbers.
        encoder: Name of the model.
        shift: Added to all of them.
        mpp: µm per px of the slide, and of the tiles.
        patch: Side of a tile in px.
    """
    slide = ArraySlide([np.full((352, 512, 3), NORMAL_COLOUR, np.uint8)], mpp=mpp)
    resolution = choose_resolution(slide.info, mpp=None, level=0)
    grid = make_grid(slide.info, resolution, patch=patch, stride=16)
    plan = make_plan(slide, grid, min_tissue=0.3, exact=False)
    readable = np.ones(len(plan), np.bool_)
    readable[LOST] = False
    cells = stitch_tissue(plan, readable)
    values = np.random.default_rng(seed).normal(shift, 1, (len(plan), size)).astype(np.float32)
    values[LOST] = np.nan
    record = make_record(grid, slide.info.levels, cells, name=path.stem)
    record = dataclasses.replace(
        record,
        model=dataclasses.replace(record.model, name=encoder),
        classes=NO_CLASSES,
        features=FeaturesRecord(size=size, numbers="float32"),
    )
    write_store(
        path,
        name=path.stem,
        plan=plan,
        probabilities=np.empty((len(plan), 0), np.float32),
        cells=cells,
        threshold=0.5,
        levels=slide.info.levels,
        attributes=record.to_json(),
        features=FeatureArray(len(plan), size, "float32", [values[:256], values[256:]]),
    )
    return verify(path)
