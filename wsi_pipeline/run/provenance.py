"""What a result says of itself: slide, model, settings, software, counts and figures."""

import platform
from importlib import metadata
from typing import Any

import numpy as np

from wsi_pipeline.config import AnalysisConfig
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.run.alarms import find_alarms
from wsi_pipeline.run.answers import Answers
from wsi_pipeline.run.colours import compare_colours
from wsi_pipeline.run.preparation import Preparation
from wsi_pipeline.slide.openslide_reader import library_version
from wsi_pipeline.stitch.cells import TUMOUR, Cells
from wsi_pipeline.tiles.plan import Coverage

_LIBRARIES = ("numpy", "zarr", "openslide-python", "openvino", "torch", "dask")


def describe(
    prepared: Preparation,
    package: ModelPackage,
    config: AnalysisConfig,
    fingerprint: str,
    runtime: RuntimeInfo,
    cells: Cells,
    answers: Answers,
) -> dict[str, Any]:
    """The ``wsi_pipeline`` attributes of a result, as plain JSON values.

    No path is among them: folder names at a lab carry patients' names.
    """
    info, plan, grid = prepared.info, prepared.plan, prepared.plan.grid
    description = package.description
    threshold = config.threshold or description.threshold.value
    counts = {item.name.lower(): int(np.count_nonzero(cells.coverage == item)) for item in Coverage}
    facts: dict[str, Any] = {
        "slide": {
            "name": prepared.name,
            "sha256": prepared.sha256.result(),
            "vendor": info.vendor,
            "width": info.size.width,
            "height": info.size.height,
            "mpp": {"x": grid.mpp_0.x, "y": grid.mpp_0.y},
            "mpp_source": "file" if config.slide_mpp is None else "override",
            "mpp_file": info.mpp and {"x": info.mpp.x, "y": info.mpp.y},
            "levels": [
                {
                    "width": level.size.width,
                    "height": level.size.height,
                    "downsample": level.downsample,
                }
                for level in info.levels
            ],
            "level": grid.level,
            "colours_corrected": info.colours_corrected,
        },
        "model": {
            "name": description.name,
            "version": description.version,
            "sha256": package.sha256,
            "mpp": description.mpp,
            "synthetic": description.training.synthetic,
            "intended_use": description.intended_use,
        },
        "configuration": config.model_dump(mode="json"),
        "fingerprint": fingerprint,
        "threshold": threshold,
        "grid": {
            "columns": grid.size.width,
            "rows": grid.size.height,
            "patch_px": grid.patch,
            "stride_px": grid.stride,
            "scale": grid.scale,
            "cell_px_0": grid.step * grid.downsample,
            "patch_px_0": grid.patch_side * grid.downsample,
            "mpp": {"x": prepared.resolution.mpp.x, "y": prepared.resolution.mpp.y},
        },
        "runtime": runtime.to_json(),
        "software": {
            "wsi-pipeline": metadata.version("wsi-pipeline"),
            "python": platform.python_version(),
            "openslide": library_version(),
            **{name: metadata.version(name) for name in _LIBRARIES},
        },
        "counts": counts,
        "tiles": len(plan),
        "tissue": {
            "rule": config.tissue,
            "tiles_read_to_decide": plan.settled,
            "full_resolution_reads_saved": plan.reads_saved,
        },
        "pixels": prepared.reader.path_of(grid.level),
        "slide_score": _slide_score(cells),
        "slide_score_rule": "largest cell probability",
        **_areas(cells, grid, threshold),
        "controls": {
            "cells": plan.controls.tolist(),
            "probabilities": [
                None if np.isnan(value) else float(value) for value in answers.controls
            ],
        },
        "colours": compare_colours(package, answers.colours),
        "warnings": list(prepared.warnings),
    }
    alarms = find_alarms(facts, cells.probability)
    return facts | {"alarms": [alarm.to_json() for alarm in alarms]}


def _slide_score(cells: Cells) -> float | None:
    """The largest cell probability, as most published CAMELYON systems score slides."""
    known = cells.probability[~np.isnan(cells.probability)]
    return float(known.max()) if known.size else None


def _areas(cells: Cells, grid: Grid, threshold: float) -> dict[str, float | None]:
    """Tumour area in mm² and as a share of the classified area; cells end at the slide's edge."""
    columns = np.diff(grid.column_edges(grid.downsample, grid.level_size.width))
    rows = np.diff(grid.row_edges(grid.downsample, grid.level_size.height))
    px_mm2 = grid.downsample**2 * grid.mpp_0.x * grid.mpp_0.y / 1e6
    area = np.outer(rows, columns) * px_mm2
    tumour = float(area[cells.decision(threshold) == TUMOUR].sum())
    classified = float(area[cells.coverage == Coverage.CLASSIFIED].sum())
    return {
        "tumour_area_mm2": round(tumour, 6),
        "tissue_area_mm2": round(classified, 6),
        "tumour_percent": round(100 * tumour / classified, 4) if classified else None,
    }
