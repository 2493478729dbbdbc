"""One slide of an evaluation: its result, score and detections held against its truth."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.cohort.table import CohortSlide, Label
from wsi_pipeline.errors import CohortError, ResultError
from wsi_pipeline.evaluation.cases import Case
from wsi_pipeline.evaluation.class_truth import ClassCells, class_cells
from wsi_pipeline.evaluation.detections import Detections, read_detections, suppress
from wsi_pipeline.evaluation.froc import Hits, hits
from wsi_pipeline.evaluation.lesions import Lesions, find_lesions, no_lesions
from wsi_pipeline.evaluation.metastasis_size import kind_of, largest_extent_um
from wsi_pipeline.evaluation.overlap import Overlap, measure_overlap
from wsi_pipeline.evaluation.reference_standard import ReferenceStandard, open_reference_standard
from wsi_pipeline.evaluation.settings import OFFICIAL_MPP, EvaluationSettings
from wsi_pipeline.evaluation.tile_truth import label_tiles
from wsi_pipeline.export.decision import Decision, decide, tiles_of
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.slide import open_slide
from wsi_pipeline.slide.synthetic import declares_synthetic
from wsi_pipeline.stitch.record import Record
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.slide_answer_record import SlideAnswerRecord


@dataclass(frozen=True, slots=True)
class Tiles:
    """Classified tiles whose truth is known, in plan order; each ``(n,)``.

    Attributes:
        x: Left edge of the patch, level-0 px.
        y: Top edge of the patch, level-0 px.
        probability: Of the positive class, tumour as a rule.
        tumour: Whether it is of that class.
        called: Whether the result says so; None: that is a matter of the threshold.
    """

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    probability: NDArray[np.float32]
    tumour: NDArray[np.bool_]
    called: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of one slide.

    Attributes:
        slide: Its row of the table.
        positive: Whether it holds tumour; None: not known.
        kind: What kind of metastasis it holds, or ``normal``; None: not known.
        kind_from: Where that is from: ``label`` or ``extent``.
        score: Of the slide; None where nothing scores it.
        score_rule: How the score is made, in words.
        threshold: Score at and above which the slide is called tumour; None: none is known.
        detections: What was detected; None where nothing says.
        hits: What the detections met; None where the slide is not fit for FROC.
        extents_um: Extent of each true lesion, isolated tumour cells among them.
        tiles: Its tiles; None where there is no result, or nothing is known of them.
        overlap: Of mask and truth; None likewise.
        predicted: The kind of metastasis the result shows.
        origin: Path and record of the result, if there is one.
        synthetic: Whether the slide says that it was drawn, not scanned.
        largest: Largest probability of a cell of the positive class; None likewise.
        class_cells: Its cells held against every class; None where the result has one class, or
            not everything is annotated.
        notes: By figure, why the slide is not part of it, and what else there is to know.
    """

    slide: CohortSlide
    positive: bool | None
    kind: Label | None
    kind_from: str
    score: float | None
    score_rule: str
    threshold: float | None
    detections: Detections | None
    hits: Hits | None
    extents_um: tuple[float, ...]
    tiles: Tiles | None
    overlap: Overlap | None
    predicted: Label | None
    origin: tuple[Path, Record] | None
    synthetic: bool
    class_cells: ClassCells | None = None
    notes: dict[str, str] = field(default_factory=dict)
    largest: float | None = None

    @property
    def answer(self) -> SlideAnswerRecord | None:
        """What a fit of the package says of the slide; None where there is none."""
        found = None if self.origin is None else self.origin[1].slide_answer
        given = found is not None and found.fitted and found.probability == self.score
        return found if given else None

    @property
    def slide_threshold(self) -> float | None:
        """Score at and above which the slide is called positive; None: none is known.

        Of a fitted answer that is where slides are suspicious, or one half where none can be.
        """
        answer = self.answer
        if answer is None:
            return self.threshold
        limit = None if answer.rule is None else answer.rule.suspicious_from
        return 0.5 if limit is None else limit


def assess(case: Case, settings: EvaluationSettings) -> Assessment:
    """Hold what is said of a slide against its truth.

    Memory: that of the result's cells and tiles; the truth is drawn in blocks.

    Raises:
        ResultError: the result is damaged.
        AnnotationError: the truth cannot be read or does not lie on the slide.
        CohortError: label, annotation state and truth contradict each other, or a detection lies
            beside the slide.
    """
    result = None if case.result is None else Result(case.result)
    decision = None if result is None else _decision(result, settings)
    size, mpp = _size_and_mpp(case, result)
    positive = None if result is None else result.classes.positive
    reference = open_reference_standard(case.slide, size, positive)
    notes: dict[str, str] = {}
    detections = _detections(case, decision, settings)
    _check_inside(case, detections, size)
    lesions = _lesions(reference, settings, mpp, size, notes)
    extents = None if lesions is None else tuple(lesions.extent_um.tolist())
    kind, kind_from = reference.kind(extents)
    score, rule = _score(case, result, detections)
    tiles = overlap = predicted = cells = None
    if result is not None and decision is not None:
        tiles = _tiles(reference, result, decision, settings, notes)
        overlap = _overlap(reference, decision, notes)
        predicted = None if reference.of_other_tissue else kind_of(largest_extent_um(decision))
        cells = _class_cells(case, reference, result, settings)
    return Assessment(
        slide=case.slide,
        positive=reference.positive,
        kind=kind,
        kind_from=kind_from,
        score=score,
        score_rule=rule,
        threshold=decision.threshold if decision and case.score is None else settings.threshold,
        detections=detections,
        hits=None if lesions is None or detections is None else hits(detections, lesions),
        extents_um=extents or (),
        tiles=tiles,
        overlap=overlap,
        predicted=case.label or predicted,
        origin=None if result is None else (result.path, result.record),
        synthetic=_synthetic(case),
        class_cells=cells,
        notes=notes,
        largest=_largest(decision),
    )


def _decision(result: Result, settings: EvaluationSettings) -> Decision | None:
    """Its cells, divided by the positive class; None of an encoder, which has no classes.

    Raises:
        ResultError: it is of an encoder that answers for slides neither.
    """
    if result.classes.members:
        return decide(result, settings.threshold)
    answer = result.slide_answer
    if answer is None or not answer.fitted:
        raise ResultError(
            result.path,
            "holds features of an encoder and no answer that could be evaluated; train one with "
            "wsi train --recipe abmil",
        )
    return None


def _largest(decision: Decision | None) -> float | None:
    """Of all cells; 0 where nothing was classified, since nothing is seen there."""
    if decision is None:
        return None
    known = decision.probability[~np.isnan(decision.probability)]
    return float(known.max(initial=0.0))


def _synthetic(case: Case) -> bool:
    path = case.slide.path
    try:
        return path is not None and declares_synthetic(path)
    except OSError:
        return False  # not ours to read: what needs its pixels will say so


def _size_and_mpp(case: Case, result: Result | None) -> tuple[Size | None, Mpp | None]:
    """The slide's size in level-0 px and its µm per level-0 px, where they are known."""
    if result is not None:
        return result.slide.size, result.mpp_0
    if case.detections is None or case.slide.path is None or not case.slide.path.exists():
        return None, None
    reader = open_slide(case.slide.path)
    try:
        return reader.info.size, reader.info.mpp
    finally:
        reader.close()


def _detections(
    case: Case, decision: Decision | None, settings: EvaluationSettings
) -> Detections | None:
    if case.detections is not None:
        return read_detections(case.detections)
    if decision is None:
        return None
    return suppress(
        decision,
        threshold=settings.detection_threshold,
        radius_um=settings.detection_radius_um,
    )


def _check_inside(case: Case, detections: Detections | None, size: Size | None) -> None:
    """Raise if a detection lies beside the slide: then its coordinates are of another frame."""
    if detections is None or size is None or case.detections is None:
        return
    out = (detections.x < 0) | (detections.y < 0)
    out |= (detections.x > size.width) | (detections.y > size.height)
    if out.any():
        first = int(np.argmax(out))
        raise CohortError(
            case.detections,
            f"a detection at {detections.x[first]:g}, {detections.y[first]:g} lies outside the "
            f"slide of {size} px; coordinates are level-0 px",
        )


def _lesions(
    reference: ReferenceStandard,
    settings: EvaluationSettings,
    mpp: Mpp | None,
    size: Size | None,
    notes: dict[str, str],
) -> Lesions | None:
    if reference.of_other_tissue:
        notes["lesions"] = "FROC and kinds of metastasis are of tumour"
        return None
    if not reference.exhaustive:
        notes["lesions"] = reference.why_not
        return None
    if reference.truth is None:
        return no_lesions()
    if mpp is None and reference.positive and isinstance(settings.froc.mpp, str):
        notes["resolution"] = f"unknown; for FROC the challenge's {OFFICIAL_MPP} µm per px is used"
    return find_lesions(reference.truth, settings.froc, mpp, size)


def _tiles(
    reference: ReferenceStandard,
    result: Result,
    decision: Decision,
    settings: EvaluationSettings,
    notes: dict[str, str],
) -> Tiles | None:
    if not reference.exhaustive and reference.truth is None:
        notes["tiles"] = reference.why_not
        return None
    table = result.tile_table()
    x, y = table["x"].astype(np.int64), table["y"].astype(np.int64)
    classes, answers = result.classes, np.moveaxis(table["probability"], 0, -1)
    probability = classes.plane_of(classes.positive, answers).astype(np.float32)
    called = None
    if decision.likely:
        labels = classes.decide(answers[..., None, :], decision.threshold)[0]
        called = labels == classes.label_of(classes.positive)
    tumour = np.zeros(len(x), bool)
    if reference.truth is not None:
        tumour = label_tiles(reference.truth, tiles_of(result), x, y, settings.tile_rule)
    known = ~np.isnan(probability)
    if not reference.exhaustive:
        # What nobody annotated there may be tumour: it is no negative.
        known &= tumour
        notes["tiles"] = f"{reference.why_not}: only annotated tumour counts"
    said = None if called is None else called[known]
    return Tiles(x[known], y[known], probability[known], tumour[known], said)


def _class_cells(
    case: Case, reference: ReferenceStandard, result: Result, settings: EvaluationSettings
) -> ClassCells | None:
    if result.classes.task == "binary" or not reference.exhaustive:
        return None
    truths = case.slide.open_class_truths(result.classes.names, result.slide.size)
    return class_cells(result, truths, settings.threshold)


def _overlap(
    reference: ReferenceStandard, decision: Decision, notes: dict[str, str]
) -> Overlap | None:
    if not reference.exhaustive:
        notes["overlap"] = reference.why_not
        return None
    return measure_overlap(decision, reference.truth)


def _score(
    case: Case, result: Result | None, detections: Detections | None
) -> tuple[float | None, str]:
    if case.score is not None:
        return case.score, "as given"
    if result is not None:
        # A slide without tissue shows nothing suspicious; leaving it out would hide it.
        score = result.slide_score
        return (0.0 if score is None else score), result.record.slide_score_rule
    if detections is not None:
        return float(detections.probability.max(initial=0.0)), "largest probability of a detection"
    return None, ""
