"""The library's front door: analyse a slide in one call, or look at its probabilities lazily."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import UsageError
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.checked_slide import resolve_grid
from wsi_pipeline.run.classification import classify_region
from wsi_pipeline.run.observer import Observer
from wsi_pipeline.run.preparation import fit_slide_stain, plan_tiles, prepare
from wsi_pipeline.run.resources import RESOURCES
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.settings import Settings
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.files import slide_name
from wsi_pipeline.stain.normalisation import StainNormalisation
from wsi_pipeline.stitch.layout import SUFFIX
from wsi_pipeline.stitch.result import Result


def analyse(
    slide: Path | str,
    model: Path | str,
    out: Path | str = ".",
    *,
    analysis: AnalysisSettings | None = None,
    overwrite: bool = False,
    workers: int = 2,
    observer: Observer | None = None,
) -> Result:
    """Analyse one slide and return its result.

    Args:
        slide: A slide file, or a folder of DICOM files.
        model: A model package's folder, or the name of an installed one.
        out: Folder for the result, ``<slide>.zarr``.
        analysis: Settings; None takes the package's defaults.
        overwrite: Replace a result that is there.
        workers: Regions computed at once.
        observer: Told of progress.

    Returns:
        The result: ``probability`` float32 ``(rows, columns)`` with NaN where not classified,
        ``coverage``, ``tumour(level)``, ``slide_score``, ``tumour_area_mm2``, ``alarms`` and, with
        all the rest, ``record``.

    Raises:
        WsiError: the slide, the package or the settings are at fault; the message says which.
    """
    analysis = analysis or AnalysisSettings()
    package = _package(model)
    prepared = prepare(Path(slide), package, analysis)
    final = Path(out) / f"{slide_name(Path(slide))}{SUFFIX}"
    with connect(None, workers) as scheduler:
        work = Work(package, analysis, _runtime(analysis), scheduler)
        return analyse_slide(prepared, final, work, overwrite=overwrite, observer=observer)


def probability_array(
    slide: Path | str,
    model: Path | str,
    *,
    analysis: AnalysisSettings | None = None,
    chunk: int = 16,
) -> Any:
    """Probabilities of a slide's tiles as a lazy Dask array: computed where you look.

    Every tile of a chunk you touch is read and classified, tissue or not: the tissue rule belongs
    to :func:`analyse`.

    Args:
        slide: A slide file, or a folder of DICOM files.
        model: A model package's folder, or the name of an installed one.
        analysis: Settings; resolution, stride, device and precision count here, and of the tissue
            rule only what finds the tissue that the slide's stain is taken from.
        chunk: Side of a chunk in tiles.

    Returns:
        ``dask.array.Array``, float32 ``(rows, columns)``: one value per tile of the grid, that of
        the patch at the tile's corner, not averaged over overlaps; NaN where unreadable.

    Raises:
        WsiError: the slide, the package or the settings are at fault; the message says which.
    """
    import dask.array as da  # noqa: PLC0415 - costs most of a second

    analysis = analysis or AnalysisSettings()
    package, path = _package(model), Path(slide).resolve()
    if package.description.answer:
        raise UsageError(
            f"{package.name} answers with more than one number for each tile; use analyse, whose "
            "result has them all"
        )
    reader = open_slide(path)
    _, grid = resolve_grid(reader.info, package, analysis)
    stain = None
    if package.description.preprocessing.stain is not None:
        stain = fit_slide_stain(reader, plan_tiles(reader, grid, analysis), package)
    threshold = analysis.threshold or package.description.threshold.value
    facts = (package.folder.resolve(), package.sha256, _runtime(analysis), threshold)

    classify = partial(_classify_block, path, facts, grid, stain)
    rows = da.core.normalize_chunks(chunk, (grid.size.height, grid.size.width))
    return da.map_blocks(classify, chunks=rows, dtype=np.float32, meta=np.empty((0, 0), np.float32))


def _classify_block(
    path: Path,
    facts: tuple[Path, str, RuntimeRequest, float],
    grid: Grid,
    stain: StainNormalisation | None,
    block_info: Any = None,
) -> NDArray[np.float32]:
    """One chunk, wherever Dask runs it; at module level so that it can be sent there."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    rows, columns = np.mgrid[top:bottom, left:right]
    cells = np.stack([columns.ravel(), rows.ravel()], axis=1)
    reader, predictor = RESOURCES.reader(path), LOADED.predictor(*facts)
    done = classify_region(reader, predictor, grid, cells, stain=stain)
    return done.probabilities.reshape(bottom - top, right - left)


def _package(model: Path | str) -> ModelPackage:
    from wsi_pipeline.provided import find_or_build  # noqa: PLC0415 - only this path may have to build one

    return find_or_build(str(model), Settings())


def _runtime(analysis: AnalysisSettings) -> RuntimeRequest:
    return RuntimeRequest(
        analysis.device, analysis.precision, Settings().cache_dir, runtime=analysis.runtime
    )
