"""White cells by their nuclei, and platelets: what azure stains."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from wsi_pipeline.cells import shapes
from wsi_pipeline.cells.finder import Box
from wsi_pipeline.cells.shapes import Mask, Region, Window
from wsi_pipeline.cells.stains import Stains

#: Platelets are roundish: what is longer or more ragged is a fold, a rim or dirt.
_PLATELET_SOLIDITY, _PLATELET_ECCENTRICITY = 0.9, 0.85


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """What azure-stained objects are told apart by.

    Lengths are in diameters, areas in areas of the usual red cell.

    Attributes:
        nucleus: Least azure of a nucleus.
        join: Parts of a nucleus are at most twice this far apart.
        nucleus_area: Least area of a nucleus.
        part: A part of it has at least this share of the largest part's area; smaller ones are
            platelets beside the cell.
        reach: Width of the cytoplasm around the nucleus's convex hull at most.
        cytoplasm: Least violet of cytoplasm and granules.
        margin: Width of the cytoplasm that is too pale to be seen.
        platelet: Least azure of a platelet's middle, blurred by ``platelet_blur``.
        platelet_blur: Standard deviation of that Gaussian.
        platelet_area: Least and largest area of the px above half of the middle's azure.
        platelet_violet: Least mean violet: what is dark but not violet is dirt.
        platelet_around: Largest mean density around a platelet. One that lies on a red cell is not
            told apart from an inclusion, a fold or dirt there, so those are left out.
        platelet_margin: What is added around a platelet on every side: its rim is pale.
    """

    nucleus: float = 0.4
    join: float = 0.12
    nucleus_area: float = 0.2
    part: float = 0.1
    reach: float = 0.45
    cytoplasm: float = 0.08
    margin: float = 0.05
    platelet: float = 0.35
    platelet_blur: float = 0.05
    platelet_area: tuple[float, float] = (0.02, 0.12)
    platelet_violet: float = 0.12
    platelet_around: float = 0.45
    platelet_margin: float = 0.07


@dataclass(frozen=True, slots=True)
class AzureObjects:
    """What azure stains.

    Attributes:
        white: bool, px of white cells, nuclei and cytoplasm.
        whites: Box of each white cell, in px of the image.
        platelets: Box of each platelet; may reach over the image's border.
    """

    white: Mask
    whites: tuple[Box, ...]
    platelets: tuple[Box, ...]


def find_azure(stains: Stains, side: float, settings: AzureSettings) -> AzureObjects:
    """White cells and platelets.

    Args:
        stains: Of the field.
        side: Diameter of a red cell, px.
        settings: Limits.
    """
    white, whites = np.zeros_like(stains.stained), []
    for nucleus in _nuclei(stains, side, settings):
        window, _, cell = _masks(nucleus, stains, side, settings)
        whites.append(_box(cell, window, 0.0))
        white[window] |= cell
    return AzureObjects(white, tuple(whites), _platelets(stains, white, side, settings))


def cell_masks(
    stains: Stains, box: Box, side: float, settings: AzureSettings
) -> tuple[Window, Mask, Mask] | None:
    """The nucleus and the cell of a box; None where there is no nucleus.

    Args:
        stains: Of the field.
        box: Of a white cell, however it was found, in px of the stains.
        side: Diameter of a red cell, px.
        settings: Limits.

    Returns:
        A window of the field, and in it the px of the nucleus and of the whole cell.
    """
    height, width = stains.stained.shape
    outer = (slice(int(box.ymin), int(box.ymax) + 1), slice(int(box.xmin), int(box.xmax) + 1))
    window = _window(outer, settings.join * side + 2, (height, width))
    inner = np.zeros_like(stains.stained[window])
    top, left = window[0].start, window[1].start
    inner[
        outer[0].start - top : outer[0].stop - top, outer[1].start - left : outer[1].stop - left
    ] = True
    nucleus = (stains.azure[window] > settings.nucleus) & inner
    parts = shapes.labels_of(_grown(nucleus, settings.join * side))
    if not nucleus.any():
        return None
    largest = np.bincount(parts[nucleus]).argmax()
    nucleus = _large_parts(nucleus & (parts == largest), settings.part)
    return window, nucleus, _with_cytoplasm(nucleus, window, stains, side, settings)


def nuclei_mask(stains: Stains, side: float, settings: AzureSettings) -> Mask:
    """Px of nuclei and the gaps in them: a quick answer to where white cells are."""
    mask = np.zeros_like(stains.stained)
    for nucleus in _nuclei(stains, side, settings):
        mask[nucleus.rows, nucleus.columns] = True
    return mask


def _nuclei(stains: Stains, side: float, settings: AzureSettings) -> list[Region]:
    """Nuclei, grown until their parts meet."""
    nuclei = stains.azure > settings.nucleus
    labels = shapes.labels_of(_grown(nuclei, settings.join * side))
    area = np.bincount(labels[nuclei], minlength=int(labels.max()) + 1)
    least = settings.nucleus_area * np.pi / 4 * side**2
    return [one for one in shapes.regions_of(labels) if area[one.label] >= least]


def _masks(
    nucleus: Region, stains: Stains, side: float, settings: AzureSettings
) -> tuple[Window, Mask, Mask]:
    """A window that a cell fits in, and in it the px of its nucleus and of all of it."""
    window = _window(nucleus.window, settings.reach * side + 2, stains.stained.shape)
    part = np.zeros_like(stains.stained[window])
    part[nucleus.rows - window[0].start, nucleus.columns - window[1].start] = True
    part = _large_parts(part & (stains.azure[window] > settings.nucleus), settings.part)
    return window, part, _with_cytoplasm(part, window, stains, side, settings)


def _large_parts(nucleus: Mask, share: float) -> Mask:
    labels = shapes.labels_of(nucleus)
    area = np.bincount(labels.ravel())
    area[0] = 0
    return np.asarray(area[labels] >= max(1.0, share * area.max()), np.bool_)


def _with_cytoplasm(
    nucleus: Mask,
    window: Window,
    stains: Stains,
    side: float,
    settings: AzureSettings,
) -> Mask:
    """A white cell, in the window of its nucleus."""
    hull = shapes.hull_of(nucleus)
    violet = ndimage.gaussian_filter(stains.violet[window], 0.04 * side) > settings.cytoplasm
    violet = ndimage.binary_opening(violet, shapes.disc(0.05 * side))
    around = (violet | hull) & _grown(hull, settings.reach * side)
    cell = ndimage.binary_propagation(hull, mask=around)
    cell = ndimage.binary_opening(cell, shapes.disc(0.12 * side)) | hull
    return _grown(np.asarray(cell, np.bool_), settings.margin * side)


def _platelets(
    stains: Stains, white: Mask, side: float, settings: AzureSettings
) -> tuple[Box, ...]:
    azure = ndimage.gaussian_filter(stains.azure, settings.platelet_blur * side)
    violet = ndimage.gaussian_filter(stains.violet, settings.platelet_blur * side)
    least, most = (share * np.pi / 4 * side**2 for share in settings.platelet_area)
    peaks = shapes.peaks(np.where(white, 0.0, azure), 0.12 * side, settings.platelet)
    found: list[Box] = []
    covered = np.zeros_like(white)
    for row, column in peaks:  # the darkest first
        if covered[row, column]:
            continue
        window = _window((slice(row, row + 1), slice(column, column + 1)), 0.6 * side, white.shape)
        labels = shapes.labels_of(azure[window] > azure[row, column] / 2)
        mask = labels == labels[row - window[0].start, column - window[1].start]
        if not least <= mask.sum() <= most:
            continue
        (region,) = shapes.regions_of(mask.astype(np.int64))
        around = _grown(mask, 0.15 * side) & ~_grown(mask, 0.05 * side)
        if (
            region.solidity >= _PLATELET_SOLIDITY
            and region.eccentricity <= _PLATELET_ECCENTRICITY
            and violet[window][mask].mean() >= settings.platelet_violet
            and stains.density[window][around].mean() <= settings.platelet_around
        ):
            found.append(_box(mask, window, settings.platelet_margin * side))
            covered[window] |= mask
    return tuple(found)


def _window(inner: Window, margin: float, shape: tuple[int, ...]) -> Window:
    rows, columns = (
        slice(max(0, int(one.start - margin)), min(length, int(one.stop + margin) + 1))
        for one, length in zip(inner, shape, strict=True)
    )
    return rows, columns


def _box(mask: Mask, window: Window, margin: float) -> Box:
    """Around the px of a window's mask, in px of the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = window[0].start, window[1].start
    return Box(
        float(left + columns[0] - margin),
        float(top + rows[0] - margin),
        float(left + columns[-1] + 1 + margin),
        float(top + rows[-1] + 1 + margin),
    )


def _grown(mask: Mask, distance: float) -> Mask:
    return np.asarray(ndimage.distance_transform_edt(~mask) <= distance, np.bool_)
