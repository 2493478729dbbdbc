"""What every export starts from: cells, their edges on the slide, and the decision for a class."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import NOT_ANALYSED, TUMOUR_OR_NORMAL, ModelClass
from wsi_pipeline.errors import ResultError, UsageError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.grid import Grid
from wsi_pipeline.stitch.cells import TUMOUR, Cells
from wsi_pipeline.stitch.layout import ATTENTION, ATTENTION_OUTLINED
from wsi_pipeline.stitch.result import Result

#: Of outlines of the attention, as in the viewer.
_ATTENTION_COLOUR = "#6d5bd0"


@dataclass(frozen=True)
class Decision:
    """The cells of a result as they are divided into one class and everything else.

    Attributes:
        probability: Of the class, float32 ``(rows, columns)``; NaN = not classified.
        coverage: :class:`~wsi_pipeline.tiles.plan.Coverage`, uint8 ``(rows, columns)``.
        mask: 0 = not of the class, 1 = of it, 255 = not analysed; uint8 ``(rows, columns)``.
        threshold: Probability at and above which a cell is of the class; that of a multiclass
            result decides nothing unless it was asked for.
        grid: The analysis grid.
        slide: Size of the slide in level-0 px.
        of: The class.
        likely: Whether the class of a cell is its most likely one, not a matter of a threshold.
        quality: Bits of what quality control found, uint8 ``(rows, columns)``, 255 = not looked
            at; None where it did not look.
        attention: Whether this is no class, but where the networks of a slide-level answer look:
            ranks within the slide in place of probabilities.
    """

    probability: NDArray[np.float32]
    coverage: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    threshold: float
    grid: Grid
    slide: Size
    of: ModelClass = TUMOUR_OR_NORMAL.planes[0]
    likely: bool = False
    quality: NDArray[np.uint8] | None = None
    attention: bool = False

    @property
    def measure(self) -> str:
        """What the numbers are, in words."""
        return (
            "attention, rank within the slide" if self.attention else f"{self.of.name} probability"
        )

    @property
    def mpp_0(self) -> Mpp:
        """µm per level-0 px."""
        return self.grid.mpp_0

    @property
    def tumour(self) -> NDArray[np.bool_]:
        """Where the class is, ``(rows, columns)``."""
        return np.equal(self.mask, TUMOUR)

    @cached_property
    def column_edges(self) -> NDArray[np.float64]:
        """Where columns begin and end in level-0 px, ``(columns + 1,)``, inside the slide.

        These are the edges of the stored mask: whole px of the analysis level.
        """
        grid = self.grid
        edges = grid.column_edges(grid.downsample, grid.level_size.width)
        return _in_level_0(edges, grid.downsample, self.slide.width)

    @cached_property
    def row_edges(self) -> NDArray[np.float64]:
        """Where rows begin and end in level-0 px, ``(rows + 1,)``, inside the slide."""
        grid = self.grid
        edges = grid.row_edges(grid.downsample, grid.level_size.height)
        return _in_level_0(edges, grid.downsample, self.slide.height)

    @cached_property
    def area_mm2(self) -> NDArray[np.float64]:
        """Area of each cell's part inside the slide in mm², ``(rows, columns)``."""
        px_mm2 = self.mpp_0.x * self.mpp_0.y / 1e6
        return np.outer(np.diff(self.row_edges), np.diff(self.column_edges)) * px_mm2

    def picture_size(self, side: int) -> Size:
        """Px of a picture of the slide in its true proportions, also where px are not square.

        Args:
            side: Its longer side in px.
        """
        width_um, height_um = self.slide.width * self.mpp_0.x, self.slide.height * self.mpp_0.y
        longer = max(width_um, height_um)
        across, down = side * width_um / longer, side * height_um / longer
        return Size(max(1, round(across)), max(1, round(down)))

    @property
    def tumour_mm2(self) -> float:
        """Area of the class in mm²."""
        return float(self.area_mm2[self.tumour].sum())

    @property
    def analysed_mm2(self) -> float:
        """Area of all classified cells in mm²."""
        return float(self.area_mm2[self.mask != NOT_ANALYSED].sum())


def decide(result: Result, threshold: float | None = None, of: str | None = None) -> Decision:
    """The cells of a result, divided into one of its classes and everything else.

    Args:
        result: The result.
        threshold: Probability (0-1) at and above which a cell is of the class; None takes the
            decision of the result: its threshold, or of a multiclass result the most likely class.
        of: The class; ``attention`` where the result has one; None takes the positive class, or
            the attention of a result without classes.

    Raises:
        UsageError: the threshold is not a probability, or the result has no such class.
        ResultError: the result is damaged.
    """
    if means_attention(result, of):
        return _attention(result, threshold)
    return _decide(result, threshold, chosen_class(result, of), _cells_of(result))


def decide_all(result: Result, threshold: float | None = None) -> list[Decision]:
    """As :func:`decide`, for every class that has a plane of probabilities, in their order.

    Of a result without classes the attention, where it has one.

    Raises:
        UsageError: the threshold is not a probability.
        ResultError: the result is damaged.
    """
    if not result.classes.members:
        return [_attention(result, threshold)] if result.has_attention else []
    cells = _cells_of(result)
    return [_decide(result, threshold, one, cells) for one in result.classes.planes]


def _cells_of(result: Result) -> Cells:
    classes, size = result.classes, grid_of(result).size
    cells = Cells(result.probability, result.coverage, classes)
    shape = (size.height, size.width)
    if cells.probability.shape != (*classes.shape, *shape) or cells.coverage.shape != shape:
        raise ResultError(result.path, f"its arrays do not have the {size} cells it states")
    return cells


def _decide(result: Result, threshold: float | None, of: ModelClass, cells: Cells) -> Decision:
    value, classes = chosen_threshold(result, threshold), cells.classes
    probability = classes.plane_of(of.name, cells.probability)
    likely = threshold is None and classes.task == "multiclass"
    if likely:
        labels = cells.decision(value)
        own = labels == classes.label_of(of.name)
        mask = np.where(labels == NOT_ANALYSED, NOT_ANALYSED, own).astype(np.uint8)
    else:
        mask = Cells(probability, cells.coverage).decision(value)
    return Decision(
        probability=probability,
        coverage=cells.coverage,
        mask=mask,
        threshold=value,
        grid=grid_of(result),
        slide=result.slide.size,
        of=of,
        likely=likely,
        quality=result.quality,
    )


def _attention(result: Result, threshold: float | None) -> Decision:
    """Where the networks look; cells at and above the threshold count as looked at most."""
    ranks, coverage = result.attention, result.coverage
    assert ranks is not None  # the caller asked
    value = ATTENTION_OUTLINED if threshold is None else chosen_threshold(result, threshold)
    return Decision(
        probability=ranks,
        coverage=coverage,
        mask=Cells(ranks, coverage).decision(value),
        threshold=value,
        grid=grid_of(result),
        slide=result.slide.size,
        of=ModelClass(ATTENTION, _ATTENTION_COLOUR),
        attention=True,
    )


def _in_level_0(edges: NDArray[np.int64], downsample: float, length: int) -> NDArray[np.float64]:
    exact = edges.astype(np.float64) * downsample
    inside: NDArray[np.float64] = np.minimum(exact, length)
    return inside


def means_attention(result: Result, name: str | None) -> bool:
    """Whether what is asked for is the attention: by its name, or for want of any class."""
    asked = name == ATTENTION or (name is None and not result.classes.members)
    return asked and result.has_attention


def chosen_class(result: Result, name: str | None) -> ModelClass:
    """The class asked for, else the positive one.

    Raises:
        UsageError: the result has no probabilities of such a class.
    """
    if not result.classes.members:
        there = "choose attention" if result.has_attention else "there is nothing to show"
        raise UsageError(f"{result.name} is of an encoder and has no classes; {there}")
    wanted = result.classes.positive if name is None else name
    found = next((one for one in result.classes.planes if one.name == wanted), None)
    if found is None:
        there = ", ".join(one.name for one in result.classes.planes)
        raise UsageError(f"{result.name} has no probabilities of {wanted!r}; it has {there}")
    return found


def chosen_threshold(result: Result, threshold: float | None) -> float:
    """The threshold asked for, else the result's.

    Raises:
        UsageError: it is not a probability.
    """
    if threshold is None:
        return result.threshold
    if not 0 <= threshold <= 1:
        raise UsageError(f"a threshold of {threshold:g} is not a probability between 0 and 1")
    return threshold


def grid_of(result: Result) -> Grid:
    """The grid of a result's cells."""
    return tiles_of(result).cells


def tiles_of(result: Result) -> Grid:
    """The grid of a result's tiles, which are its cells unless the model answers with maps."""
    slide, grid = result.slide, result.record.grid
    return Grid(
        level=slide.level,
        level_size=slide.analysed.size,
        downsample=slide.analysed.downsample,
        scale=grid.scale,
        patch=grid.patch_px,
        stride=grid.stride_px,
        mpp_0=result.mpp_0,
        stretch=grid.stretch,
        kind=grid.kind,
        cell=grid.map_px,
        margin=grid.margin_px,
    )
