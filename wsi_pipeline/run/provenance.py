"""What a result says of itself: slide, model, settings, software, counts and figures."""

import functools
import platform
from dataclasses import asdict, replace
from importlib import metadata

import numpy as np

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.classes import Classes
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import RuntimeInfo
from wsi_pipeline.run.alarms import find_alarms
from wsi_pipeline.run.colours import compare_colours
from wsi_pipeline.run.preparation import Preparation
from wsi_pipeline.run.shift import compare_shift
from wsi_pipeline.run.spread import SPREAD, summarise_spread
from wsi_pipeline.run.tile_probabilities import TileProbabilities
from wsi_pipeline.slide.openslide_reader import library_version
from wsi_pipeline.slide_level.answer import slide_answer, with_answer
from wsi_pipeline.stitch.cells import Cells, is_answered
from wsi_pipeline.stitch.features_record import FeaturesRecord
from wsi_pipeline.stitch.grid_record import GridRecord
from wsi_pipeline.stitch.model_record import ModelRecord
from wsi_pipeline.stitch.record import (
    ControlsRecord,
    CountsRecord,
    Record,
    RuntimeRecord,
    TimingsRecord,
    TissueRecord,
)
from wsi_pipeline.stitch.slide_record import LevelRecord, SlideRecord
from wsi_pipeline.stitch.stain_record import StainRecord
from wsi_pipeline.tiles.plan import Coverage, Plan

_LIBRARIES = ("numpy", "zarr", "openslide-python", "openvino", "torch", "dask")


def describe(
    prepared: Preparation,
    package: ModelPackage,
    analysis: AnalysisSettings,
    fingerprint: str,
    runtime: RuntimeInfo,
    cells: Cells,
    answers: TileProbabilities,
    timings: TimingsRecord,
) -> Record:
    """What a result says of itself.

    No path is in it: folder names at a lab carry patients' names.
    """
    plan, grid = prepared.plan, prepared.plan.grid
    threshold = analysis.threshold or package.description.threshold.value
    counts = {item.name.lower(): int(np.count_nonzero(cells.coverage == item)) for item in Coverage}
    areas, tissue_mm2 = _areas(cells, grid.cells, threshold)
    classes = package.classes
    tumour_mm2 = areas[classes.label_of(classes.positive)] if classes.members else 0.0
    record = Record(
        slide=_slide(prepared, analysis),
        model=_model(package),
        configuration=analysis.model_dump(mode="json"),
        fingerprint=fingerprint,
        classes=package.classes,
        threshold=threshold,
        grid=_grid(prepared),
        runtime=RuntimeRecord(**runtime.to_json()),
        software=_software(),
        counts=CountsRecord(**counts),
        tiles=len(prepared.whole),
        tissue=TissueRecord(
            rule=analysis.tissue,
            tiles_read_to_decide=plan.settled,
            full_resolution_reads_saved=plan.reads_saved,
        ),
        pixels=prepared.reader.path_of(grid.level),
        slide_score=_slide_score(cells),
        slide_score_rule="largest cell probability"
        if classes.members
        else "none: an encoder has no classes",
        tumour_area_mm2=round(tumour_mm2, 6),
        tissue_area_mm2=round(tissue_mm2, 6),
        tumour_percent=round(100 * tumour_mm2 / tissue_mm2, 4)
        if tissue_mm2 and classes.members
        else None,
        class_areas_mm2={
            one.name: round(areas[label], 6) for label, one in package.classes.labels.items()
        },
        controls=_controls(plan, answers, classes) if classes.members else None,
        colours=compare_colours(package, answers.samples[:, :6].reshape(-1, 2, 3)),
        shift=compare_shift(package, answers, runtime.precision, prepared.screening),
        quality=None if prepared.marks is None else prepared.marks.record,
        warnings=tuple(prepared.warnings),
        alarms=(),
        timings=timings,
        features=FeaturesRecord(size=runtime.features, numbers=analysis.features)
        if analysis.features != "off"
        else None,
        stain=_stain(prepared),
        spread=summarise_spread(analysis, answers.extras.get(SPREAD)),
        screen=None if prepared.screening is None else prepared.screening.record,
    )
    record = replace(record, alarms=tuple(find_alarms(record, cells.positive)))
    answer = slide_answer(package, record, cells.probability)
    return record if answer is None else with_answer(record, answer)


def _slide(prepared: Preparation, analysis: AnalysisSettings) -> SlideRecord:
    info, grid = prepared.info, prepared.plan.grid
    return SlideRecord(
        name=prepared.name,
        sha256=prepared.sha256.result(),
        vendor=info.vendor,
        width=info.size.width,
        height=info.size.height,
        mpp=grid.mpp_0,
        mpp_source="file" if analysis.slide_mpp is None else "override",
        mpp_file=info.mpp,
        levels=tuple(
            LevelRecord(
                width=level.size.width, height=level.size.height, downsample=level.downsample
            )
            for level in info.levels
        ),
        level=grid.level,
        colours_corrected=info.colours_corrected,
    )


def _model(package: ModelPackage) -> ModelRecord:
    description = package.description
    return ModelRecord(
        name=description.name,
        version=description.version,
        sha256=package.sha256,
        mpp=description.mpp,
        level=description.level,
        synthetic=description.training.synthetic,
        intended_use=description.intended_use,
        notice=description.notice,
    )


def _grid(prepared: Preparation) -> GridRecord:
    grid = prepared.plan.grid
    cells = grid.cells
    return GridRecord(
        columns=cells.size.width,
        rows=cells.size.height,
        patch_px=grid.patch,
        stride_px=grid.stride,
        map_px=grid.cell,
        margin_px=grid.margin,
        scale=grid.scale,
        stretch=grid.stretch,
        cell_px_0=cells.cell_0.x,
        cell_height_px_0=cells.cell_0.y,
        patch_px_0=grid.patch_0.x,
        patch_height_px_0=grid.patch_0.y,
        mpp=prepared.resolution.mpp,
        kind=grid.kind,
    )


def _stain(prepared: Preparation) -> StainRecord | None:
    stain = prepared.stain
    if stain is None:
        return None
    fit = stain.fit
    return StainRecord(
        method=fit.method,
        slide=None if fit.appearance is None else asdict(fit.appearance),
        target=asdict(stain.target),
        reason=fit.reason,
    )


@functools.cache
def _software() -> dict[str, str]:
    # Reading the metadata of installed packages takes several ms.
    return {
        "wsi-pipeline": metadata.version("wsi-pipeline"),
        "python": platform.python_version(),
        "openslide": library_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def _controls(plan: Plan, answers: TileProbabilities, classes: Classes) -> ControlsRecord:
    planes = np.moveaxis(answers.controls, 0, -1)
    positive = classes.plane_of(classes.positive, planes)
    return ControlsRecord(
        cells=tuple((column, row) for column, row in plan.controls.tolist()),
        probabilities=tuple(None if np.isnan(value) else float(value) for value in positive),
    )


def _slide_score(cells: Cells) -> float | None:
    """The largest cell probability, as most published CAMELYON systems score slides."""
    # Of screened cells a bound is known, not a probability.
    known = cells.positive[~np.isnan(cells.positive) & (cells.coverage != Coverage.SCREENED)]
    return float(known.max()) if known.size else None


def _areas(cells: Cells, grid: Grid, threshold: float) -> tuple[dict[int, float], float]:
    """Areas of each label and of what was classified, mm²; cells end at the slide's edge."""
    columns = np.diff(grid.column_edges(grid.downsample, grid.level_size.width))
    rows = np.diff(grid.row_edges(grid.downsample, grid.level_size.height))
    px_mm2 = grid.downsample**2 * grid.mpp_0.x * grid.mpp_0.y / 1e6
    area = np.outer(rows, columns) * px_mm2
    classified = is_answered(cells.coverage)
    areas = {
        label: float(
            area[classified & cells.classes.where(label, cells.probability, threshold)].sum()
        )
        for label in cells.classes.labels
    }
    return areas, float(area[classified].sum())
