"""The result store's layout: OME-Zarr 0.5 metadata, chunking and names, for writer and readers."""

from collections.abc import Iterable, Sequence
from typing import Any

from wsi_pipeline.classes import NOT_ANALYSED, Classes
from wsi_pipeline.geometry import Mpp, PerAxis
from wsi_pipeline.grid import Grid
from wsi_pipeline.quality.reasons import FACTS, NOT_LOOKED_AT, Reason
from wsi_pipeline.tiles.plan import Coverage

FORMAT_VERSION = 1
NGFF_VERSION = "0.5"
ATTRIBUTES = "wsi_pipeline"
LABELS = "labels"
COVERAGE_LABEL = "labels/coverage"
QUALITY_LABEL = "labels/quality"
TILES = "tiles"
FEATURES = "features"
FEATURE_VALUES = "features/values"
#: Image of the grid: where the networks of a slide-level answer look.
ATTENTION = "attention"
#: Rank from which exports outline: the tenth of the tissue that was looked at most.
ATTENTION_OUTLINED = 0.9

#: Values no array ever holds, so that a lost chunk cannot be mistaken for data.
PROBABILITY_FILL = -1.0
MASK_FILL = 254
COVERAGE_FILL = 254
QUALITY_FILL = 254
POSITION_FILL = -1
#: The least float16: an encoder's features are of the order of 1.
FEATURE_FILL = -65504.0

#: Side of a chunk, what a viewer fetches, and of a shard, what is one file.
GRID_CHUNK = 512
#: Tiles in a chunk of features, as many as a region has.
FEATURE_CHUNK = 256
MASK_CHUNK = 1024
MASK_SHARD = 4096

SUFFIX = ".zarr"

_COVERAGE_COLOURS = {
    Coverage.EMPTY: (0, 0, 0, 0),
    Coverage.CLASSIFIED: (46, 125, 50, 96),
    Coverage.GLASS: (158, 158, 158, 96),
    Coverage.UNREADABLE: (213, 0, 0, 160),
    Coverage.REJECTED: (255, 143, 0, 160),
    Coverage.SCREENED: (2, 136, 209, 96),
}
_NO_CLASS_COLOUR = (0, 0, 0, 0)
_NOT_ANALYSED_COLOUR = (158, 158, 158, 64)
#: Opacity of a class in the mask, so that the slide shows below it.
_MASK_ALPHA = 128
_QUALITY_ALPHA = 128


def mask_name(classes: Classes) -> str:
    """Name of the label image that says the class of each px: ``tumour`` or ``classes``."""
    return "tumour" if classes.task == "binary" and classes.positive == "tumour" else "classes"


def mask_path(classes: Classes) -> str:
    """Where the mask is in a store."""
    return f"{LABELS}/{mask_name(classes)}"


def multiscale(
    name: str,
    datasets: Sequence[tuple[str, PerAxis]],
    mpp_0: Mpp,
    kind: str,
    *,
    planes: bool = False,
) -> dict[str, Any]:
    """A ``multiscales`` entry: y and x in µm, the centre of slide px (0, 0) at the origin.

    As in the NGFF convention, index *i* stands for the centre of px *i*: an array whose px are
    ``d`` level-0 px long has its first centre at ``(d - 1) / 2`` level-0 px.

    Args:
        name: Of the image.
        datasets: Path and level-0 px per array px, finest first.
        mpp_0: µm per level-0 px.
        kind: How coarser arrays are made from finer ones.
        planes: Whether the arrays have a plane for each class before y and x.
    """
    channel = [{"name": "c", "type": "channel"}] if planes else []
    scale, shift = ([1.0], [0.0]) if planes else ([], [])
    return {
        "name": name,
        "type": kind,
        "axes": [
            *channel,
            {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"},
        ],
        "datasets": [
            {
                "path": path,
                "coordinateTransformations": [
                    {"type": "scale", "scale": [*scale, px.y * mpp_0.y, px.x * mpp_0.x]},
                    {
                        "type": "translation",
                        "translation": [
                            *shift,
                            (px.y - 1) / 2 * mpp_0.y,
                            (px.x - 1) / 2 * mpp_0.x,
                        ],
                    },
                ],
            }
            for path, px in datasets
        ],
    }


def grid_datasets(grid: Grid, levels: int) -> list[tuple[str, PerAxis]]:
    """Path and level-0 px per px of a pyramid of the grid, halved from level to level."""
    return [(str(index), grid.cell_0 * 2**index) for index in range(levels)]


def mask_colours(classes: Classes) -> dict[int, tuple[int, int, int, int]]:
    """Red, green, blue and opacity of every label of the mask, 0-255."""
    colours = {
        label: (*one.rgb, _MASK_ALPHA) if one.colour else _NO_CLASS_COLOUR
        for label, one in classes.labels.items()
    }
    return {**colours, NOT_ANALYSED: _NOT_ANALYSED_COLOUR}


def mask_label(classes: Classes) -> dict[str, Any]:
    """The ``image-label`` entry of the mask."""
    meanings = {label: one.name for label, one in classes.labels.items()}
    if mask_name(classes) == "tumour":
        meanings[0] = "not tumour"
    return _image_label(mask_colours(classes), {**meanings, NOT_ANALYSED: "not analysed"})


def channels(classes: Classes) -> list[dict[str, Any]]:
    """The ``omero`` channels of the probability: a class each, with its name and colour."""
    return [
        {
            "label": one.name,
            "color": one.colour.removeprefix("#").upper(),
            "active": True,
            "window": {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0},
        }
        for one in classes.planes
    ]


def coverage_label() -> dict[str, Any]:
    """The ``image-label`` entry of the coverage layer."""
    meanings = {int(item): item.name.lower() for item in Coverage}
    return _image_label({int(k): v for k, v in _COVERAGE_COLOURS.items()}, meanings)


def quality_label(values: Iterable[int]) -> dict[str, Any]:
    """The ``image-label`` entry of the quality layer.

    Args:
        values: The sets of reasons that occur, beside single reasons; each is named.
    """
    present = sorted({0, *(int(one) for one in Reason), *values} - {NOT_LOOKED_AT})
    colours: dict[int, tuple[int, int, int, int]] = {NOT_LOOKED_AT: _NO_CLASS_COLOUR}
    meanings = {NOT_LOOKED_AT: "not looked at"}
    for value in present:
        reasons = [FACTS[one] for one in Reason if value & one]
        colours[value] = (*reasons[0].rgb, _QUALITY_ALPHA) if reasons else _NO_CLASS_COLOUR
        meanings[value] = " + ".join(one.text for one in reasons) or "no fault"
    return _image_label(colours, meanings)


def _image_label(
    colours: dict[int, tuple[int, int, int, int]], meanings: dict[int, str]
) -> dict[str, Any]:
    return {
        "colors": [{"label-value": value, "rgba": list(rgba)} for value, rgba in colours.items()],
        "properties": [{"label-value": value, "meaning": text} for value, text in meanings.items()],
        "source": {"image": "../../"},
    }
