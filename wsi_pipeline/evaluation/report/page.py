"""The page: header, warnings, sections and how the figures were made, in one HTML file."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from wsi_pipeline.errors import WsiError
from wsi_pipeline.evaluation.evaluation import NOTICE, Evaluation, notices
from wsi_pipeline.evaluation.report import classes, overview, pictures, sections
from wsi_pipeline.evaluation.settings import OFFICIAL_MPP, EvaluationSettings
from wsi_pipeline.evaluation.slide_names import listed
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import Json, counted, tag, text
from wsi_pipeline.page.report import footer, header, method_section

_Item = TypeVar("_Item")
_Picture = TypeVar("_Picture")

_SAY_NOTHING = "These figures say nothing about real slides."


def report_page(
    evaluation: Evaluation,
    settings: EvaluationSettings,
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Write the report as one HTML document that needs nothing but itself.

    Pictures whose slide cannot be read are left out, and the page says so.

    Args:
        evaluation: The outcome.
        settings: Those it was made with.
        progress: Told of pictures drawn and how many there are.
    """
    metrics = evaluation.metrics
    examples = pictures.examples(evaluation.slides)
    false, missed = (
        pictures.worst_errors(evaluation.slides, settings.pictures, missed=missed)
        for missed in (False, True)
    )
    total = len(examples) + len(false) + len(missed)
    drawn = _Drawn(total, progress)
    shown = drawn.all(examples, lambda item: (item[0], pictures.slide_picture(item[1], settings)))
    slides_note = drawn.note()
    errors = [
        drawn.all(part, lambda item: pictures.patch_picture(item[0], item[1], settings))
        for part in (false, missed)
    ]
    body = [
        _header(metrics),
        _warnings(metrics),
        overview.headline(metrics),
        classes.classes_section(metrics),
        overview.groups(metrics),
        sections.slides_section(metrics),
        sections.lesions_section(metrics),
        sections.masks_section(metrics, shown, slides_note),
        sections.patches_section(metrics),
        sections.gallery_section(errors[0], errors[1], drawn.note(), metrics["positive"]),
        sections.stages_section(metrics),
        overview.table_section(metrics),
        _method(metrics, settings),
        footer(metrics["program"], notice=NOTICE),
    ]
    return document(_title(metrics), "".join(body))


class _Drawn:
    """Draws pictures one by one and remembers what could not be drawn."""

    def __init__(self, total: int, progress: Callable[[str, int, int], None] | None) -> None:
        self._total, self._progress, self._done = total, progress, 0
        self._failed: list[str] = []

    def all(self, items: Sequence[_Item], draw: Callable[[_Item], _Picture]) -> list[_Picture]:
        made = []
        for item in items:
            try:
                made.append(draw(item))
            except WsiError as error:
                if str(error) not in self._failed:
                    self._failed.append(str(error))
            self._done += 1
            if self._progress is not None:
                self._progress("pictures", self._done, self._total)
        return made

    def note(self) -> str:
        """Why pictures are missing since the last note; empty if none is."""
        failed, self._failed = self._failed, []
        return f"Pictures are missing: {listed(failed, 3)}." if failed else ""


def _title(metrics: Json) -> str:
    names = {f"{model['name']} {model['version']}" for model in metrics["models"]}
    return f"Evaluation of {listed(sorted(names), 3)}" if names else "Evaluation"


def _header(metrics: Json) -> str:
    cohort = metrics["cohort"]
    split = "all slides" if cohort["split"] == "all" else f"{cohort['split']} slides"
    facts = [
        f"{cohort['slides']:,} {split} of {counted(cohort['patients'], 'patient')}",
        f"{cohort['tumour']} with {metrics['positive']}, {cohort['normal']} without",
    ]
    if cohort["unknown"]:
        facts.append(f"{cohort['unknown']} of unknown label")
    if cohort["table"]:
        facts.append(f"from {cohort['table']}")
    models = [
        f"{model['name']} {model['version']}, tiles of {model['patch_px']} px every "
        f"{model['stride_px']} px at {model['mpp']['x']:.3g} µm/px"
        + ("" if model["threshold"] is None else f", threshold {model['threshold']:.3g}")
        for model in metrics["models"]
    ]
    return header(_title(metrics), [" · ".join(facts), *models], notice=NOTICE)


def _warnings(metrics: Json) -> str:
    """What a person has to know before believing a figure."""
    warnings = []
    if metrics["synthetic"]:
        drawn = metrics["cohort"]["synthetic"]
        what = [f"{counted(drawn, 'slide')} synthetic, not scanned"] if drawn else []
        if any(model["synthetic"] for model in metrics["models"]):
            what.append("the model was trained on synthetic tissue")
        warnings.append(f"Synthetic: {', and '.join(what)}. {_SAY_NOTHING}")
    warnings += [f"{words.rstrip('.')}." for words in notices(metrics)]
    warnings += [
        f"Not evaluated, without {kind}: {listed(names)}. The figures are of the others."
        for kind, names in metrics["missing"].items()
        if names
    ]
    warnings += [f"Not evaluated: {name}: {why}" for name, why in metrics["failed"].items()]
    if len(metrics["models"]) > 1:
        warnings.append("The results are of more than one model or threshold.")
    unknown = [one["slide"] for one in metrics["slides"] if one["positive"] is None]
    if unknown:
        warnings.append(f"Without label, so in no figure of slides: {listed(unknown)}.")
    asides = [
        f"Not used, of other splits: {counted(len(names), kind.removesuffix('s'))}."
        for kind, names in metrics["aside"].items()
        if names
    ]
    boxes = [tag("p", text(words), cls="warning") for words in warnings]
    boxes += [tag("p", text(words), cls="quiet") for words in asides]
    return "".join(boxes)


def _method(metrics: Json, settings: EvaluationSettings) -> str:
    froc, positive = settings.froc, metrics["positive"]
    if froc.mpp == "slide":
        mpp = "each slide's own"
    elif froc.mpp == "auto":
        mpp = (
            f"{OFFICIAL_MPP:g} µm per px as in its script (slides more than 10 % from it: "
            "their own)"
        )
    else:
        mpp = f"{froc.mpp:g} µm per px"
    items = {
        "Intervals": f"95 %, percentile bootstrap over slides, {settings.resamples:,} draws, seed "
        f"{settings.seed}; slides with and without {positive} keep their numbers.",
        "Slide AUC": f"Mann-Whitney: how often a slide with {positive} scores above one without; "
        "ties count half.",
        "Detections": "from the heatmap by circular non-maximum suppression, radius "
        f"{settings.detection_radius_um:g} µm, probability at least "
        f"{settings.detection_threshold:g}; or as given.",
        "FROC": f"CAMELYON16's rule. Truth at {froc.downsample:g} level-0 px per px, resolution "
        f"{mpp}; everything within {froc.gap_um / 2:g} µm of tumour, holes filled, joined over "
        f"corners; a major axis below {froc.itc_um:g} µm is isolated tumour cells: neither to be "
        "found nor an error. Further hits of a lesion are no errors. Slides without detections "
        "count. The lowest threshold is dropped, (0, 0) added.",
        "Masks": "Dice and IoU px by px at the mask's level, of fully annotated slides.",
        "Not analysed": f"the share of annotated {positive} in cells that were not classified.",
        "Tiles": f"a tile is {positive} where {settings.tile_rule.words(positive)}. Where "
        "annotation is partial, tissue outside of it is left out. The baseline always gives the "
        "more frequent answer.",
        "Calibration": "mean distance of probability and frequency over 15 bins of equal width, "
        "weighted by tiles.",
        "Kinds": "by the table's label; else by the longest lesion's major axis: below 200 µm "
        "isolated tumour cells, above 2 mm macro, micro between.",
    }
    if metrics["positive"] != "tumour":
        # Both are of metastases.
        del items["FROC"], items["Detections"], items["Kinds"]
    if metrics["classes"] is not None:
        items["Classes"] = (
            "the truth of a cell is the class that covers most of it, at 8 × 8 places. AUC: how "
            "often a cell of the class has a higher probability of it than a cell of another; of "
            "classes that may overlap, a cell is of every class that covers half of it."
        )
    if metrics["stages"] is not None:
        items["Stages"] = (
            "CAMELYON17's: macro in up to three positive nodes pN1, in more pN2; else micro "
            "pN1mi; else isolated cells pN0(i+). Isolated cells are no positive node."
        )
    return method_section(items, "Every number of this page is in metrics.json.")
