"""What a slide is checked for before its tissue is looked for, and the grid it will have."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import SlideMetadataError, UsageError
from wsi_pipeline.geometry import Mpp
from wsi_pipeline.grid import MAX_CELLS, Grid, make_grid
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.run.trained_tiles import check_tiles
from wsi_pipeline.slide import SlideInfo, SlideReader, open_slide
from wsi_pipeline.slide.probe import Probe, probe
from wsi_pipeline.slide.resolution import (
    Resolution,
    choose_resolution,
    slide_mpp,
    whole_px_resolution,
)
from wsi_pipeline.slide.tile_reader import TileReader
from wsi_pipeline.tissue.overview import check_brightfield


@dataclass(frozen=True, slots=True)
class CheckedSlide:
    """A slide that can be analysed as asked.

    Attributes:
        reader: The open slide.
        mpp_0: µm per level-0 px.
        chosen: The resolution and grid; None where no model decides them.
        warnings: What a person should know of the slide.
    """

    reader: SlideReader
    mpp_0: Mpp
    chosen: tuple[Resolution, Grid] | None
    warnings: tuple[str, ...]


def resolve_grid(
    info: SlideInfo, package: ModelPackage, analysis: AnalysisSettings
) -> tuple[Resolution, Grid]:
    """The resolution and grid an analysis will use.

    Raises:
        SlideMetadataError: the slide does not allow what is asked.
    """
    description = package.description
    stride, mpp = analysis.stride or description.tile_px, analysis.mpp or description.mpp
    if analysis.grid == "wsinfer":
        if (
            analysis.level is not None
            or mpp is None
            or stride != description.patch_px
            or description.map is not None
        ):
            raise SlideMetadataError(
                info.path,
                "the grid of WSInfer needs µm per px, tiles side by side and a model that answers "
                "with numbers: leave out --level and --stride, and give --mpp where the model "
                "states none",
            )
        resolution = whole_px_resolution(
            info, mpp=mpp, patch=description.patch_px, override=analysis.slide_mpp
        )
    else:
        level = analysis.level
        if level is None and analysis.mpp is None:
            level = description.level
        resolution = choose_resolution(info, mpp=mpp, level=level, override=analysis.slide_mpp)
    try:
        grid = make_grid(
            info,
            resolution,
            patch=description.tile_px,
            stride=stride,
            kind=analysis.grid,
            cell=description.cell_px,
            margin=description.margin_px,
        )
        if description.map is not None:
            _check_memory(grid, len(package.classes.planes), description.map.pool)
    except UsageError as error:
        raise SlideMetadataError(info.path, str(error)) from error
    return resolution, grid


def _check_memory(grid: Grid, planes: int, pool: int) -> None:
    """Refuse a map that stitching could not hold.

    Raises:
        UsageError: it is too large.
    """
    size, values = grid.cells_size, grid.cells_size.area * planes
    if values > MAX_CELLS:
        fewer = math.ceil(math.sqrt(values / MAX_CELLS))
        raise UsageError(
            f"a map of {size} cells for {planes} classes is more than {MAX_CELLS:,} numbers; make "
            f"its cells larger: import the model with --pool {pool * fewer} (map.pool in "
            "model.yaml), or choose a coarser resolution"
        )


def check_slide(
    path: Path,
    package: ModelPackage | None,
    analysis: AnalysisSettings,
    *,
    prober: Callable[[Path], Probe] = probe,
) -> CheckedSlide:
    """Everything a slide is refused for before its tissue is looked for.

    Args:
        path: A slide file, or a folder of DICOM files.
        package: The model; None: everything but what depends on it.
        analysis: The settings.
        prober: Looks at the unknown file first.

    Raises:
        SlideError: something is wrong with the slide, or it does not allow what is asked.
    """
    probed = prober(path)
    reader = open_slide(path)
    info = reader.info
    if info.levels != probed.info.levels:
        raise SlideMetadataError(path, "changed while it was being opened; try again")
    if isinstance(reader, TileReader):
        reader.trust(probed.proven)
    chosen = None
    if package is not None:
        chosen = resolve_grid(info, package, analysis)
        check_tiles(path, package, chosen)
        mpp_0, oddities = chosen[0].mpp_0, chosen[0].warnings
    elif analysis.mpp is not None or analysis.level is not None:
        resolution = choose_resolution(
            info, mpp=analysis.mpp, level=analysis.level, override=analysis.slide_mpp
        )
        mpp_0, oddities = resolution.mpp_0, resolution.warnings
    else:
        mpp_0, oddities = slide_mpp(info, analysis.slide_mpp)
    warnings = (*info.warnings, *oddities, *check_brightfield(reader))
    if probed.unreadable:
        warnings += (
            f"{probed.unreadable} of {probed.sampled} sampled places cannot be decoded "
            f"({probed.reason})",
        )
    return CheckedSlide(reader, mpp_0, chosen, warnings)
