"""What a result says of itself, as typed values: the run makes them, readers get them checked.

The JSON in a store has these fields' names, in this order. A field that came later has a default,
which is what older results give.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from wsi_pipeline.classes import TUMOUR_OR_NORMAL, Classes
from wsi_pipeline.errors import ResultError
from wsi_pipeline.stitch.alarm import Alarm
from wsi_pipeline.stitch.colours_record import ColoursRecord
from wsi_pipeline.stitch.features_record import FeaturesRecord
from wsi_pipeline.stitch.grid_record import GridRecord
from wsi_pipeline.stitch.model_record import ModelRecord
from wsi_pipeline.stitch.quality_record import QualityRecord
from wsi_pipeline.stitch.screen_record import ScreenRecord
from wsi_pipeline.stitch.shift_record import ShiftRecord
from wsi_pipeline.stitch.slide_answer_record import SlideAnswerRecord
from wsi_pipeline.stitch.slide_record import SlideRecord
from wsi_pipeline.stitch.spread_record import SpreadRecord
from wsi_pipeline.stitch.stain_record import StainRecord

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRecord:
    """What computed: library and version, device, precision."""

    runtime: str
    device: str
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsRecord:
    """Cells of the grid by :class:`~wsi_pipeline.tiles.plan.Coverage`."""

    empty: int
    classified: int
    glass: int
    unreadable: int
    rejected: int
    screened: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueRecord:
    """How tissue was found: the rule, and tiles read at full resolution, or not, to decide."""

    rule: str
    tiles_read_to_decide: int
    full_resolution_reads_saved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlsRecord:
    """Cells of clean glass, ``(column, row)``, and the model's answers; None = unreadable."""

    cells: tuple[tuple[int, int], ...]
    probabilities: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingsRecord:
    """Seconds of the run that ended the analysis, and tiles that an earlier one had finished."""

    classify_seconds: float
    read_thread_seconds: float
    model_wait_seconds: float
    resumed_tiles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that a result says of itself, but the hashes that it is checked by.

    Attributes:
        slide: The slide.
        model: The model package.
        configuration: The settings as they were given, by name.
        fingerprint: Of the settings, with what they leave to the package filled in.
        classes: What the model answers for; of older results normal and tumour.
        threshold: Probability at and above which a cell of a binary model is positive.
        grid: The analysis grid.
        runtime: What computed.
        software: Versions by name.
        counts: Cells by coverage class.
        tiles: Tiles of tissue that were answered for, by the model or its screen.
        tissue: How tissue was found.
        pixels: How px were decoded: ``openslide``, ``tiles`` or ``tiff``.
        slide_score: Of a package with a fitted answer the slide's probability, else the largest
            cell probability of the positive class, 0-1; None where nothing was classified.
        slide_score_rule: How the score is made, in words.
        tumour_area_mm2: Area of the positive class, as in `class_areas_mm2`.
        tissue_area_mm2: Area that was classified.
        tumour_percent: The former of the latter; None where nothing was classified.
        class_areas_mm2: Area of every label's class by its name, see
            :meth:`~wsi_pipeline.classes.Classes.where`; empty in older results.
        controls: Clean glass the model was asked about; None in results older than controls.
        colours: Of the tissue; None in results older than these.
        shift: How unlike the training data the slide is; None where the package does not say.
        slide_answer: Of the slide as a whole; None in results older than these.
        quality: What quality control found; None without it, and in results older than it.
        features: Of the tiles; None where none are kept.
        stain: How px were normalised; None of models that want none, and in older results.
        spread: Of the answers for several orientations; None where there was one.
        screen: What the model's screen did; None of models without one, where it was off, and in
            results older than screens.
        warnings: Oddities of the slide, in words.
        alarms: What a person has to look at before this is believed.
        timings: Of the run.
    """

    slide: SlideRecord
    model: ModelRecord
    configuration: dict[str, Any]
    fingerprint: str
    classes: Classes = TUMOUR_OR_NORMAL
    threshold: float
    grid: GridRecord
    runtime: RuntimeRecord
    software: dict[str, str]
    counts: CountsRecord
    tiles: int
    tissue: TissueRecord
    pixels: str
    slide_score: float | None
    slide_score_rule: str
    tumour_area_mm2: float
    tissue_area_mm2: float
    tumour_percent: float | None
    class_areas_mm2: dict[str, float] = field(default_factory=dict)
    controls: ControlsRecord | None = None
    colours: ColoursRecord | None = None
    shift: ShiftRecord | None = None
    slide_answer: SlideAnswerRecord | None = None
    quality: QualityRecord | None = None
    features: FeaturesRecord | None = None
    stain: StainRecord | None = None
    spread: SpreadRecord | None = None
    screen: ScreenRecord | None = None
    warnings: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    timings: TimingsRecord

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, as a store keeps them."""
        values: dict[str, Any] = to_plain(self)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a result is checked by.

    Attributes:
        format: Of the store.
        arrays: SHA-256 of every array's decoded content, by its path.
        metadata: SHA-256 of every metadata file, by its path.
        digest: SHA-256 of all attributes but itself.
    """

    format: int
    arrays: dict[str, str]
    metadata: dict[str, str]
    digest: str


_RECORD, _SEAL = TypeAdapter(Record), TypeAdapter(Seal)


def read_record(attributes: Mapping[str, Any], store: Path) -> Record:
    """The record in a store's attributes.

    Raises:
        ResultError: a field is missing or of another kind; the message names it.
    """
    alarms = attributes.get("alarms")
    if isinstance(alarms, list):
        # Before alarms had codes there was one kind of them, a sentence.
        named = [
            {"code": "unreadable-tissue", "message": one} if isinstance(one, str) else one
            for one in alarms
        ]
        attributes = {**attributes, "alarms": named}
    return _read(_RECORD, attributes, store)


def read_seal(attributes: Mapping[str, Any], store: Path) -> Seal:
    """The hashes in a store's attributes.

    Raises:
        ResultError: a field is missing or of another kind; the message names it.
    """
    return _read(_SEAL, attributes, store)


def to_plain(value: Any) -> Any:
    """A record, or a part of one, as dictionaries and lists."""
    if is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _read(reader: TypeAdapter[_Value], attributes: Mapping[str, Any], store: Path) -> _Value:
    try:
        # As JSON, in which lists are tuples, but no text is a number.
        return reader.validate_json(json.dumps(attributes), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultError(
            store,
            f"its attribute {place} is not that of a result: {first['msg']}; analyse the slide "
            "again, or use the version that made it",
        ) from error
