"""What a result says, as numbers for people and programs: score, areas, regions, alarms, origin."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from wsi_pipeline.classes import Task
from wsi_pipeline.export.decision import Decision, decide
from wsi_pipeline.export.formats import FORMATS
from wsi_pipeline.export.regions import Regions, find_regions
from wsi_pipeline.geometry import Mpp
from wsi_pipeline.stitch.alarm import Alarm
from wsi_pipeline.stitch.record import to_plain
from wsi_pipeline.stitch.result import Result

#: Regions described one by one, the largest ones.
LARGEST = 20
#: Bins of equal width from 0 to 1.
BINS = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A point: from the slide's left and top edge."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its top left corner, from the slide's left and top edge, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class RegionFinding:
    """A tumour region.

    Attributes:
        number: Its place among all regions, the most suspicious first: "Tumor 1" in the GeoJSON.
        area_mm2: Its area.
        cells: How many cells it has.
        mean_probability: Of its cells.
        max_probability: Of its cells.
        box_px: The box around it in level-0 px.
        box_um: The same in µm.
        centroid_px: Its centre of area in level-0 px; may lie outside of it.
        centroid_um: The same in µm.
    """

    number: int
    area_mm2: float
    cells: int
    mean_probability: float
    max_probability: float
    box_px: Box
    box_um: Box
    centroid_px: Place
    centroid_um: Place


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """What a label of the mask stands for.

    Attributes:
        label: The number in the mask.
        name: Of the class.
        colour: ``#rrggbb``; None for what is none of the other classes, which has no
            probabilities.
    """

    label: int
    name: str
    colour: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a result says.

    Attributes:
        slide_score: See :class:`~wsi_pipeline.stitch.record.Record`.
        slide_score_rule: How the score is made, in words.
        slide_answer: Probability, interval, state, reason and rule of the slide as a whole; None in
            results older than these.
        threshold: Probability at and above which a cell is tumour.
        tumour_area_mm2: Area called tumour.
        tissue_area_mm2: Area that was classified.
        tumour_percent: The former of the latter; None where nothing was classified.
        tiles: Tiles classified.
        regions: How many tumour regions there are.
        largest_regions: The largest of them, at most :data:`LARGEST`, by area.
        coverage: Cells per coverage class.
        histogram: Cells per probability, :data:`BINS` bins of equal width from 0 to 1; the last
            one includes 1.
        controls: Cells of clean glass the model was asked about, and its answers; None in results
            older than controls.
        colours: Optical densities of the tissue and of the training patches, and their distance;
            None in results older than these.
        task: How the classes exclude one another.
        classes: What the labels of the mask stand for.
        positive: The class that score, tumour area, regions and histogram are of.
        class_areas_mm2: Area of every label by its name; empty in results older than classes.
        exports: Names of the formats that the result can be exported as.
        alarms: What a person has to look at before this is believed.
        warnings: Oddities of the slide, in words.
        notice: What everybody must know of the model; empty where there is nothing.
        provenance: Slide, model, configuration, software, device and timings. The slide's file
            name is not among them.
    """

    slide_score: float | None
    slide_score_rule: str
    slide_answer: dict[str, Any] | None
    threshold: float
    tumour_area_mm2: float
    tissue_area_mm2: float
    tumour_percent: float | None
    tiles: int
    regions: int
    largest_regions: tuple[RegionFinding, ...]
    coverage: dict[str, int]
    histogram: tuple[int, ...]
    controls: dict[str, Any] | None
    colours: dict[str, Any] | None
    task: Task
    classes: tuple[ClassLabel, ...]
    positive: str
    class_areas_mm2: dict[str, float]
    exports: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    warnings: tuple[str, ...]
    notice: str
    provenance: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def find(result: Result) -> Findings:
    """What a result says; an encoder's has neither regions nor probabilities of cells.

    Memory: some 50 bytes per grid cell.

    Raises:
        ResultError: the result is damaged.
    """
    record = result.record
    count, known = 0, np.empty(0, np.float32)
    largest: tuple[RegionFinding, ...] = ()
    if record.classes.members:
        decision = decide(result)
        regions = find_regions(decision)
        count, largest = len(regions), _largest(regions, decision)
        known = decision.probability[~np.isnan(decision.probability)]
    return Findings(
        slide_score=record.slide_score,
        slide_score_rule=record.slide_score_rule,
        slide_answer=to_plain(record.slide_answer),
        threshold=record.threshold,
        tumour_area_mm2=record.tumour_area_mm2,
        tissue_area_mm2=record.tissue_area_mm2,
        tumour_percent=record.tumour_percent,
        tiles=record.tiles,
        regions=count,
        largest_regions=largest,
        coverage=to_plain(record.counts),
        histogram=tuple(np.histogram(known, BINS, (0, 1))[0].tolist()),
        controls=to_plain(record.controls),
        colours=to_plain(record.colours),
        task=record.classes.task,
        classes=tuple(
            ClassLabel(label, one.name, one.colour or None)
            for label, one in record.classes.labels.items()
        ),
        positive=record.classes.positive,
        class_areas_mm2=record.class_areas_mm2,
        exports=tuple(name for name, one in FORMATS.items() if one.fits(result)),
        alarms=result.alarms,
        warnings=record.warnings,
        notice=record.model.notice,
        provenance=_provenance(result),
    )


def _provenance(result: Result) -> dict[str, Any]:
    record, seal = result.record, result.seal
    slide = to_plain(record.slide)
    del slide["name"]
    return {
        "slide": slide,
        "model": to_plain(record.model),
        "format": seal.format,
        "configuration": record.configuration,
        "fingerprint": record.fingerprint,
        "grid": to_plain(record.grid),
        "runtime": to_plain(record.runtime),
        "software": record.software,
        "tissue": to_plain(record.tissue),
        "quality": to_plain(record.quality),
        "pixels": record.pixels,
        "timings": to_plain(record.timings),
        "digest": seal.digest,
    }


def _largest(regions: Regions, decision: Decision) -> tuple[RegionFinding, ...]:
    chosen = np.argsort(-regions.area_mm2, kind="stable")[:LARGEST]
    # Boxes of all regions are found in one pass, each as two slices.
    boxes = ndimage.find_objects(regions.labels)
    return tuple(_described(regions, index, boxes[index], decision) for index in chosen.tolist())


def _described(
    regions: Regions, index: int, box: tuple[slice, slice], decision: Decision
) -> RegionFinding:
    rows, columns = box
    x, y = decision.column_edges, decision.row_edges
    left, right = float(x[columns.start]), float(x[columns.stop])
    top, bottom = float(y[rows.start]), float(y[rows.stop])
    area = np.where(regions.labels[box] == index + 1, decision.area_mm2[box], 0)
    across = (x[columns.start : columns.stop] + x[columns.start + 1 : columns.stop + 1]) / 2
    down = (y[rows.start : rows.stop] + y[rows.start + 1 : rows.stop + 1]) / 2
    total = area.sum()
    centre = Place(
        round(float(area.sum(axis=0) @ across / total), 3),
        round(float(area.sum(axis=1) @ down / total), 3),
    )
    around = Box(left, top, right - left, bottom - top)
    mpp = decision.mpp_0
    return RegionFinding(
        number=index + 1,
        area_mm2=round(float(regions.area_mm2[index]), 6),
        cells=int(regions.cells[index]),
        mean_probability=round(float(regions.mean[index]), 7),
        max_probability=round(float(regions.largest[index]), 7),
        box_px=around,
        box_um=_box_um(around, mpp),
        centroid_px=centre,
        centroid_um=Place(round(centre.x * mpp.x, 3), round(centre.y * mpp.y, 3)),
    )


def _box_um(box: Box, mpp: Mpp) -> Box:
    return Box(
        round(box.x * mpp.x, 3),
        round(box.y * mpp.y, 3),
        round(box.width * mpp.x, 3),
        round(box.height * mpp.y, 3),
    )
