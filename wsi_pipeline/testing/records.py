"""What a made-up result says of itself, complete, as a run would write it."""

from collections.abc import Sequence

import numpy as np

from wsi_pipeline.grid import Grid
from wsi_pipeline.slide.info import Level
from wsi_pipeline.stitch.cells import Cells
from wsi_pipeline.stitch.grid_record import GridRecord
from wsi_pipeline.stitch.model_record import ModelRecord
from wsi_pipeline.stitch.record import (
    CountsRecord,
    Record,
    RuntimeRecord,
    TimingsRecord,
    TissueRecord,
)
from wsi_pipeline.stitch.slide_record import LevelRecord, SlideRecord
from wsi_pipeline.tiles.plan import Coverage


def make_record(
    grid: Grid,
    levels: Sequence[Level],
    cells: Cells,
    *,
    name: str = "slide-7",
    threshold: float = 0.5,
    synthetic: bool = False,
) -> Record:
    """A record whose score, areas and counts are those of the cells.

    Args:
        grid: The grid.
        levels: Of the slide, the finest first.
        cells: On the grid.
        name: Of the slide.
        threshold: Decides what is tumour.
        synthetic: Whether the model was trained on synthetic tissue.
    """
    known = cells.positive[~np.isnan(cells.positive)]
    classes = cells.classes
    columns = np.diff(grid.column_edges(grid.downsample, grid.level_size.width))
    rows = np.diff(grid.row_edges(grid.downsample, grid.level_size.height))
    px_mm2 = grid.downsample**2 * grid.mpp_0.x * grid.mpp_0.y / 1e6
    areas = np.outer(rows, columns) * px_mm2
    classified = cells.coverage == Coverage.CLASSIFIED
    by_label = {
        label: float(areas[classified & classes.where(label, cells.probability, threshold)].sum())
        for label in classes.labels
    }
    tumour = by_label[classes.label_of(classes.positive)] if classes.members else 0.0
    tissue = float(areas[classified].sum())
    return Record(
        slide=SlideRecord(
            name=name,
            sha256="ab" * 32,
            vendor="generic-tiff",
            width=levels[0].size.width,
            height=levels[0].size.height,
            mpp=grid.mpp_0,
            mpp_file=grid.mpp_0,
            levels=tuple(
                LevelRecord(
                    width=level.size.width, height=level.size.height, downsample=level.downsample
                )
                for level in levels
            ),
            level=grid.level,
        ),
        model=ModelRecord(
            name="lymph-node",
            version="1.2.0",
            sha256="cd" * 32,
            mpp=0.5,
            synthetic=synthetic,
            intended_use="research",
        ),
        configuration={},
        fingerprint="ef" * 32,
        classes=classes,
        threshold=threshold,
        grid=GridRecord(
            columns=grid.size.width,
            rows=grid.size.height,
            patch_px=grid.patch,
            stride_px=grid.stride,
            scale=grid.scale,
            stretch=grid.stretch,
            cell_px_0=grid.cell_0.x,
            cell_height_px_0=grid.cell_0.y,
            patch_px_0=grid.patch_0.x,
            patch_height_px_0=grid.patch_0.y,
            mpp=grid.mpp_0.scaled(grid.downsample * grid.scale),
        ),
        runtime=RuntimeRecord(runtime="fake 1", device="cpu fake", precision="fp32"),
        software={},
        counts=CountsRecord(
            **{item.name.lower(): int((cells.coverage == item).sum()) for item in Coverage}
        ),
        tiles=int(known.size),
        tissue=TissueRecord(rule="fast", tiles_read_to_decide=0, full_resolution_reads_saved=0),
        pixels="tiff",
        slide_score=float(known.max()) if known.size else None,
        slide_score_rule="largest cell probability",
        tumour_area_mm2=round(tumour, 6),
        tissue_area_mm2=round(tissue, 6),
        tumour_percent=round(100 * tumour / tissue, 4) if tissue else None,
        class_areas_mm2={
            one.name: round(by_label[label], 6) for label, one in classes.labels.items()
        },
        warnings=(),
        alarms=(),
        timings=TimingsRecord(
            classify_seconds=0.0, read_thread_seconds=0.0, model_wait_seconds=0.0, resumed_tiles=0
        ),
    )
