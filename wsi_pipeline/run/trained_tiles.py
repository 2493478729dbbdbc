"""Tiles of a slide beside those that a package's networks for slides were trained on."""

from pathlib import Path

from wsi_pipeline.errors import SlideMetadataError
from wsi_pipeline.grid import Grid
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.slide.resolution import Resolution, agree


def check_tiles(path: Path, package: ModelPackage, chosen: tuple[Resolution, Grid]) -> None:
    """Refuse tiles that are not cut like those the package's answer for slides was trained on.

    Features of tissue at another spacing are others, and the answer would be worth nothing.

    Args:
        path: The slide.
        package: The model; one whose answer needs no features, or that does not keep how tiles were
            cut, takes any.
        chosen: What the slide would be analysed with.

    Raises:
        SlideMetadataError: patches are of another size, or px of another spacing.
    """
    section = package.description.slide_level
    if section is None or section.tiles is None:
        return
    (resolution, grid), tiles = chosen, section.tiles
    mpp = resolution.mpp.side
    side, spacing = tiles.patch_px or grid.patch, tiles.mpp or mpp
    if side == grid.patch and agree(mpp, spacing):
        return
    remedy = (
        f"give --mpp {spacing:.3g} (`mpp`) and no level"
        if side == grid.patch
        else "train it anew on features that wsi features makes with this package"
    )
    raise SlideMetadataError(
        path,
        f"would be cut into tiles of {grid.patch} px at {mpp:.3g} µm/px, and {package.name} "
        f"answers for slides by tiles of {side} px at {spacing:.3g} µm/px; {remedy}",
    )
