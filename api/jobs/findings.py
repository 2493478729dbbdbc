"""What a result says, as the OpenAPI document has it.

The same fields as :class:`wsi_pipeline.export.findings.Findings`, which makes them and which to
import would load Zarr; a test holds both together.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from api.jobs.slide_answer import SlideAnswerOut
from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes, Task
from wsi_pipeline.notice import notice_of

Probability = Annotated[float, Field(ge=0, le=1)]
Notice = Annotated[
    str,
    Field(description="What must be shown of the model with its results; empty: nothing"),
]


class PlaceOut(BaseModel):
    """A point: from the slide's left and top edge."""

    x: float
    y: float


class BoxOut(BaseModel):
    """A box: its top left corner, from the slide's left and top edge, and its size."""

    x: float
    y: float
    width: float
    height: float


class RegionOut(BaseModel):
    """A region of the positive class: cells that touch one another at an edge or a corner."""

    number: Annotated[
        int, Field(description="Place among all, most suspicious first; as in the GeoJSON")
    ]
    area_mm2: float
    cells: int
    mean_probability: Probability
    max_probability: Probability
    box_px: Annotated[BoxOut, Field(description="The box around it, level-0 px")]
    box_um: Annotated[BoxOut, Field(description="The box around it, µm")]
    centroid_px: Annotated[
        PlaceOut, Field(description="Its centre of area, level-0 px; may lie outside of it")
    ]
    centroid_um: Annotated[PlaceOut, Field(description="Its centre of area, µm")]


class ControlsOut(BaseModel):
    """Clean glass that was classified as a test; not part of score, areas or mask."""

    cells: Annotated[list[tuple[int, int]], Field(description="Column and row of each cell")]
    probabilities: Annotated[
        list[Probability | None], Field(description="Their probabilities; null where unreadable")
    ]


class TrainingColoursOut(BaseModel):
    """Optical densities (R, G, B) of the model's training patches."""

    patches: int
    mean: list[float]
    std: list[float]


class ColoursOut(BaseModel):
    """Optical densities (R, G, B) of the tissue of a sample of tiles; null: too few to say."""

    tiles: int
    mean: list[float] | None
    std: list[float] | None
    training: TrainingColoursOut | None
    distance: Annotated[
        float | None, Field(description="Mahalanobis distance of the means from the training's")
    ]


class AlarmOut(BaseModel):
    """Something a person must check before using the result."""

    code: Annotated[str, Field(description="Code of the alarm; does not change between versions")]
    message: str


class ClassOut(BaseModel):
    """What a label of the mask stands for."""

    label: Annotated[int, Field(description="The number in the mask")]
    name: str
    colour: Annotated[
        str | None,
        Field(
            description="#rrggbb; null for what is none of the other classes, which has no "
            "probabilities"
        ),
    ]

    @classmethod
    def all_of(cls, classes: Classes) -> list[Self]:
        """By their labels."""
        return [
            cls(label=label, name=one.name, colour=one.colour or None)
            for label, one in classes.labels.items()
        ]


TaskOut = Annotated[Task, Field(description="How the classes exclude one another")]
ClassesOut = Annotated[list[ClassOut], Field(description="What the labels stand for")]
Positive = Annotated[
    str, Field(description="The class that score, area, regions and histogram are of")
]
ClassAreas = Annotated[
    dict[str, float], Field(description="Area of every label by its name; empty in older results")
]
PositiveArea = Annotated[
    float, Field(description="Area of the positive class, whatever that is; mm²")
]
PositivePercent = Annotated[
    float | None, Field(description="Share of the positive class in the tissue, %")
]
Exports = Annotated[
    list[str] | None,
    Field(
        description="Formats of `wsi export` that fit it, of which the service serves heatmap, "
        "geojson, csv, tiff and zip; null in older results"
    ),
]
RegionCount = Annotated[int, Field(description="How many regions of the positive class there are")]


class FindingsOut(BaseModel):
    """What a result says."""

    slide_score: Annotated[
        Probability | None, Field(description="Null where nothing was classified")
    ]
    slide_score_rule: str
    slide_answer: SlideAnswerOut | None = None
    threshold: Annotated[
        Probability,
        Field(
            description="Probability at and above which a cell is of a class; of classes that "
            "exclude one another (multiclass) the most likely one counts instead"
        ),
    ]
    tumour_area_mm2: PositiveArea
    tissue_area_mm2: Annotated[float, Field(description="Area that was classified")]
    tumour_percent: PositivePercent
    tiles: Annotated[int, Field(description="Tiles classified")]
    regions: RegionCount
    largest_regions: Annotated[list[RegionOut], Field(description="The largest, at most 20")]
    coverage: Annotated[dict[str, int], Field(description="Cells per coverage class")]
    histogram: Annotated[
        list[int], Field(description="Cells per probability: 50 bins of equal width from 0 to 1")
    ]
    task: TaskOut = TUMOUR_OR_NORMAL.task
    classes: ClassesOut = ClassOut.all_of(TUMOUR_OR_NORMAL)
    positive: Positive = TUMOUR_OR_NORMAL.positive
    class_areas_mm2: ClassAreas = {}
    exports: Exports = None
    controls: ControlsOut | None
    colours: ColoursOut | None
    alarms: list[AlarmOut]
    warnings: Annotated[list[str], Field(description="Unusual properties of the slide")]
    notice: Notice
    provenance: Annotated[
        dict[str, Any],
        Field(description="Slide, model, configuration, software, device and timings"),
    ]

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Self:
        """From what is kept of a result."""
        return cls.model_validate({"notice": _notice(summary), **summary})


class JobFindings(BaseModel):
    """What lists show of a result."""

    slide_score: Annotated[
        Probability | None, Field(description="Null where nothing was classified")
    ]
    slide_answer: SlideAnswerOut | None = None
    threshold: Probability
    positive: Positive = TUMOUR_OR_NORMAL.positive
    task: TaskOut = TUMOUR_OR_NORMAL.task
    classes: ClassesOut = ClassOut.all_of(TUMOUR_OR_NORMAL)
    class_areas_mm2: ClassAreas = {}
    exports: Exports = None
    tumour_area_mm2: PositiveArea
    tumour_percent: PositivePercent
    regions: RegionCount
    alarms: list[AlarmOut]
    notice: Notice

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Self | None:
        """From what is kept of a result; None where that says nothing of findings."""
        told = {"notice": _notice(summary), **summary}
        needed = {name for name, one in cls.model_fields.items() if one.is_required()}
        if not needed <= told.keys():
            return None
        return cls.model_validate({name: told[name] for name in cls.model_fields if name in told})


def _notice(summary: Mapping[str, Any]) -> str:
    """Of what was kept before models had notices."""
    model = summary.get("provenance", {}).get("model", {})
    return notice_of("", synthetic=bool(model.get("synthetic")))
