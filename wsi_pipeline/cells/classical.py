"""The finder that comes with the program: stains, outlines and watersheds, no training.

Steps, each in its module, with its source:

1. Densities relative to the glass, divided into haemoglobin and azure (:mod:`.stains`).
2. The diameter of the field's usual red cell (:mod:`.red_cells`). The field is then resampled so
   that a red cell has :attr:`ClassicalSettings.working_px`: all limits are shares of a red cell,
   so that magnification does not matter.
3. White cells and platelets by azure (:mod:`.white_cells`).
4. Red cells by their outlines (:mod:`.discs`), and by watershed where they show none.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.cells.finder import Box, Cell, FoundCells, Kind, ordered
from wsi_pipeline.cells.red_cells import RedSettings, find_red, first_guess, sure_diameters
from wsi_pipeline.cells.stains import separate
from wsi_pipeline.cells.white_cells import AzureSettings, find_azure, nuclei_mask

#: Px of the field's longer side on which the diameter of a red cell is looked for.
_OVERVIEW_PX = 320
#: Diameters that are tried, as multiples of the first guess, which clumps make too large. The one
#: whose clear outlines explain most of the red area counts; smaller ones are not tried when one
#: explains less than a part of the best that is clear.
_LADDER = (1.15, 0.87, 0.65, 0.48, 0.36, 0.27, 0.2)
_CLEAR, _PASSED = 0.3, 0.7
#: The usual red cell is this much larger than those with a clear outline: small ones overlap less.
_OF_SURE = 1.1
#: Fewest clear outlines that a diameter is taken from.
_FEWEST_SURE = 3
#: Least diameter of a red cell, px, and most red cells along the longer side of a field.
_LEAST_PX, _MOST_ACROSS = 8.0, 100


@dataclass(frozen=True, slots=True)
class ClassicalSettings:
    """Of the classical finder.

    Attributes:
        red_cell_px: Diameter of the usual red cell in px of the field; None: found in each field.
        working_px: What that diameter is made to be, px.
        blur: Standard deviation of the first Gaussian, px of the resampled field.
        stained: Share of Otsu's threshold from which a px is stained.
        azure: Of white cells and platelets.
        red: Of red cells.
    """

    red_cell_px: float | None = None
    working_px: int = 40
    blur: float = 0.7
    stained: float = 0.5
    azure: AzureSettings = field(default_factory=AzureSettings)
    red: RedSettings = field(default_factory=RedSettings)

    def __post_init__(self) -> None:
        if self.red_cell_px is not None and not self.red_cell_px >= 4:
            raise ValueError("a red cell has a diameter of at least 4 px")


class ClassicalFinder:
    """Finds white cells, red cells and platelets of a stained blood smear in bright field.

    Args:
        settings: Limits, as shares of a red cell.
    """

    def __init__(self, settings: ClassicalSettings | None = None) -> None:
        self._settings = settings or ClassicalSettings()

    @property
    def description(self) -> dict[str, Any]:
        """Name and settings."""
        return {"finder": "classical", "revision": 1, **asdict(self._settings)}

    def find(self, pixels: NDArray[np.uint8]) -> FoundCells:
        """See :meth:`~wsi_pipeline.cells.finder.Finder.find`."""
        settings = self._settings
        diameter = settings.red_cell_px or self._diameter(pixels)
        if not diameter:
            return FoundCells((), 0.0, ("nothing is stained, or it is no blood smear",))
        scale = settings.working_px / diameter
        stains = separate(resampled(pixels, scale), settings.blur, settings.stained)
        if stains is None:
            return FoundCells((), diameter, ("nothing is stained, or it is no blood smear",))
        side = float(settings.working_px)
        objects = find_azure(stains, side, settings.azure)
        boxes: list[tuple[Kind, Box]] = [("WBC", box) for box in objects.whites]
        boxes += [("Platelets", box) for box in objects.platelets]
        boxes += [("RBC", box) for box in find_red(stains, objects.white, side, settings.red)]
        height, width = pixels.shape[:2]
        scales = stains.stained.shape[1] / width, stains.stained.shape[0] / height
        return FoundCells(
            ordered([_cell(kind, box, scales, (width, height)) for kind, box in boxes]),
            round(diameter, 1),
        )

    def _diameter(self, pixels: NDArray[np.uint8]) -> float:
        """Of the field's usual red cell, px; 0 where there is none."""
        settings = self._settings
        longest = max(pixels.shape[:2])
        scale = min(1.0, _OVERVIEW_PX / longest)
        stains = separate(resampled(pixels, scale), settings.blur, settings.stained)
        if stains is None:
            return 0.0
        guess = first_guess(stains, stains.azure > settings.azure.nucleus) / scale
        best, diameter = 0.0, 0.0
        for factor in _LADDER:
            tried = max(min(factor * guess, longest / 2), longest / _MOST_ACROSS, _LEAST_PX)
            explained, found = self._try(pixels, tried)
            if len(found) >= _FEWEST_SURE and explained > best:
                best, diameter = explained, _OF_SURE * float(np.median(found))
            elif best >= _CLEAR and explained < _PASSED * best:
                break
        return diameter or guess

    def _try(self, pixels: NDArray[np.uint8], diameter: float) -> tuple[float, list[float]]:
        """What clear outlines explain if red cells have this diameter, and theirs in px."""
        side, settings = float(self._settings.working_px), self._settings
        scale = side / diameter
        stains = separate(resampled(pixels, scale), settings.blur, settings.stained)
        if stains is None:
            return 0.0, []
        white = nuclei_mask(stains, side, settings.azure)
        explained, found = sure_diameters(stains, white, side, settings.red)
        return explained, [one / scale for one in found]


def resampled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """A field made smaller or larger, by the same factor along both axes but for rounding."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Pillow's bilinear filter averages where it makes smaller, so that noise goes.
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _cell(kind: Kind, box: Box, scales: tuple[float, float], size: tuple[int, int]) -> Cell:
    """A cell in px of the field; ``box`` is in px of the resampled one."""
    left, right = (max(0.0, value / scales[0]) for value in (box.xmin, box.xmax))
    top, bottom = (max(0.0, value / scales[1]) for value in (box.ymin, box.ymax))
    right, bottom = min(right, float(size[0])), min(bottom, float(size[1]))
    # What reaches the last row or column of the resampled field goes on outside, as a rule.
    near_x, near_y = 0.5 / scales[0], 0.5 / scales[1]
    cut = left < near_x or top < near_y or right > size[0] - near_x or bottom > size[1] - near_y
    return Cell(kind, Box(*(round(value, 1) for value in (left, top, right, bottom))), cut)
