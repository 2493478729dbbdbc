"""The sections of the report, one per level of figures."""

from collections.abc import Sequence

from wsi_pipeline.evaluation.report import curves
from wsi_pipeline.evaluation.report.fitted import fitted_part
from wsi_pipeline.evaluation.report.kinds import KINDS
from wsi_pipeline.evaluation.report.pictures import PatchPicture, SlidePicture
from wsi_pipeline.evaluation.settings import TileRule
from wsi_pipeline.page.markup import (
    NOTHING,
    Json,
    counted,
    estimate_cell,
    figure_text,
    interval_text,
    number_cell,
    panel,
    row,
    section,
    share_text,
    table,
    tag,
    text,
)
from wsi_pipeline.page.matrix import matrix_panel

_RATES = ("precision", "recall", "specificity", "f1", "accuracy")


def slides_section(metrics: Json) -> str:
    """Slide level."""
    level = metrics["groups"]["all"]["slide_level"]
    if level is None:
        return ""
    positive = metrics["positive"]
    parts = [curves.roc_panel("ROC of slides", level, _centres(metrics, "slide_level"))]
    decision = level["decision"]
    if decision is not None:
        threshold = decision["threshold"]
        note = f"Classified as {text(positive)} from a score of {text(threshold)} on."
        parts.append(
            tag(
                "div",
                curves.confusion_panel("Confusion matrix", decision["confusion"], note, positive)
                + _rates(decision, level["majority_baseline"], positive),
                cls="stack",
            )
        )
    return section(
        "slide-level",
        "Slides",
        f"{counted(level['tumour'], 'slide')} with {text(positive)}, {level['normal']} without. "
        f"Score: {text(', '.join(level['score']))}.",
        tag("div", "".join(parts), cls="pair"),
        fitted_part(level["fitted"], positive),
    )


def lesions_section(metrics: Json) -> str:
    """Lesion level."""
    level = metrics["groups"]["all"]["lesion_level"]
    if level is None:
        return ""
    points = [
        row(number_cell(f"{point['false_positives']:g}"), estimate_cell(point["sensitivity"]))
        for point in level["operating_points"]
    ]
    points.append(
        row(tag("th", "mean (FROC)", cls="number"), estimate_cell(level["froc"]), cls="total")
    )
    others = ", ".join(
        f"{text(name)} {figure_text(value)}"
        for name, value in level["other_interpolations"].items()
    )
    caption = f"Interpolation: {text(level['interpolation'])}. Otherwise: {others}."
    operating = panel(
        "Operating points",
        table(["|false positives per slide", "|sensitivity"], points, cls="points"),
        caption,
    )
    kinds = [
        row(
            tag("th", text(KINDS[kind]), scope="row"),
            number_cell(f"{one['found']} of {one['lesions']}"),
            estimate_cell(one["sensitivity"]),
        )
        for kind, one in level["by_lesion"].items()
    ]
    sizes = ""
    if kinds:
        sizes = panel(
            "Found by any detection",
            table(["lesions", "|found", "|share"], kinds),
        )
    return section(
        "lesion-level",
        "Lesions",
        f"{counted(level['lesions'], 'lesion')} to be found on "
        f"{counted(level['slides'], 'slide')}, "
        f"{counted(level['isolated_tumour_cells'], 'group')} of isolated tumour cells left out; "
        f"{counted(level['detections'], 'detection')}, {level['false_positives']:,} of them false.",
        tag(
            "div",
            curves.froc_panel(level, _centres(metrics, "lesion_level"))
            + tag("div", operating + sizes, cls="stack"),
            cls="pair",
        ),
    )


def _quality_rows(level: Json | None, positive: str) -> list[str]:
    """Tumour that quality control marks, and left out, by reason; nothing where it did not look."""
    if level is None or not level["tumour_mm2"]:
        return []
    rejected = level["rejected_mm2"] / level["tumour_mm2"]
    shares = {
        f"{text(positive)} that quality control marks": level["by_reason"]["any"],
        "of which left out (rejected)": rejected,
        **{
            f"marked: {text(reason)}": share
            for reason, share in level["by_reason"].items()
            if share and reason != "any"
        },
    }
    return [
        row(tag("th", name, scope="row"), number_cell(f"{100 * share:.1f} %"))
        for name, share in shares.items()
    ]


def masks_section(metrics: Json, pictures: Sequence[tuple[str, SlidePicture]], note: str) -> str:
    """Segmentation, and tumour that was never looked at."""
    level = metrics["groups"]["all"]["segmentation"]
    if level is None:
        return ""
    rows = [
        row(tag("th", f"{title}, {way}", scope="row"), estimate_cell(level[key][part]))
        for key, title in (("dice", "Dice"), ("iou", "IoU"))
        for part, way in (("mean", "mean of slides"), ("pooled", "all px together"))
    ]
    slides = "normal" if metrics["positive"] == "tumour" else "other"
    lost = level["not_analysed"]
    rows.append(
        row(
            tag("th", f"{text(metrics['positive'])} in cells not analysed", scope="row"),
            number_cell(share_text(lost["share"])),
        )
    )
    rows.append(
        row(
            tag("th", "of which below the tissue rule", scope="row"),
            number_cell(
                NOTHING
                if lost["tissue_rule_share"] is None
                else f"{100 * lost['tissue_rule_share']:.1f} %"
            ),
        )
    )
    rows += _quality_rows(level["quality"], metrics["positive"])
    if level["normal_slides"]:
        false = level["false_mm2_per_normal_slide"]
        rows.append(
            row(
                tag(
                    "th", f"false {text(metrics['positive'])} per {slides} slide, mm²", scope="row"
                ),
                number_cell(interval_text(false)),
            )
        )
    shown = "".join(_example(name, one) for name, one in pictures)
    chart = curves.dice_panel(metrics["slides"])
    return section(
        "segmentation",
        "Masks",
        f"{counted(level['slides'], 'fully annotated slide')} with "
        f"{text(metrics['positive'])}, at the level of the "
        "mask.",
        tag(
            "div",
            chart + panel("Agreement", table(["", "|value"], rows, cls="points")),
            cls="pair",
        ),
        shown,
        tag("p", text(note), cls="quiet") if note else "",
    )


def patches_section(metrics: Json) -> str:
    """Patch level."""
    level = metrics["groups"]["all"]["patch_level"]
    if level is None:
        return ""
    centres = _centres(metrics, "patch_level")
    share = level["tumour_tiles"] / level["tiles"]
    return section(
        "patch-level",
        "Tiles",
        f"{counted(level['tiles'], 'classified tile')} of {counted(level['slides'], 'slide')}, "
        f"{level['tumour_tiles']:,} of them ({100 * share:.1f} %) {text(metrics['positive'])}: "
        f"{text(TileRule(**metrics['settings']['tile_rule']).words(metrics['positive']))}.",
        tag(
            "div",
            curves.roc_panel("ROC of tiles", level, centres)
            + curves.precision_recall_panel(level, metrics["positive"])
            + curves.reliability_panel(level, metrics["positive"])
            + tag(
                "div",
                curves.confusion_panel(
                    "Confusion matrix", level["confusion"], positive=metrics["positive"]
                )
                + _rates(level, level["majority_baseline"], metrics["positive"]),
                cls="stack",
            ),
            cls="pair",
        ),
    )


def gallery_section(
    false: Sequence[PatchPicture], missed: Sequence[PatchPicture], note: str, positive: str
) -> str:
    """The most confident errors."""
    parts = []
    for title, pictures in (
        ("False positives", false),
        ("False negatives", missed),
    ):
        if pictures:
            parts.append(tag("h3", text(title)))
            parts.append(tag("div", "".join(_patch(one) for one in pictures), cls="gallery"))
    if note:
        parts.append(tag("p", text(note), cls="quiet"))
    return section(
        "errors",
        "The errors with the highest confidence",
        f"Patches of these tiles, at most four of a slide; annotated {text(positive)} is "
        "outlined in yellow. Positions are level-0 px.",
        *parts,
    )


def stages_section(metrics: Json) -> str:
    """CAMELYON17's stages."""
    staging = metrics["stages"]
    if staging is None:
        return ""
    slides = staging["slides"]
    words = [KINDS[kind] if kind != "itc" else "itc" for kind in slides["kinds"]]
    note = f"Quadratic-weighted kappa {interval_text(staging['kappa'])}."
    slide_note = f"Quadratic-weighted kappa {interval_text(slides['kappa'])}."
    left = (
        f" {counted(len(staging['left_out']), 'patient')} could not be staged."
        if staging["left_out"]
        else ""
    )
    return section(
        "stages",
        "Stages",
        f"{counted(len(staging['patients']), 'patient')} by CAMELYON17's rules, their slides "
        f"labelled by the extent of the largest lesion.{left}",
        tag(
            "div",
            matrix_panel("Patients", staging["stages"], staging["confusion"], note)
            + matrix_panel("Slides", words, slides["confusion"], slide_note),
            cls="pair",
        ),
    )


def _centres(metrics: Json, level: str) -> list[tuple[str, Json]]:
    """Figures of a level by centre, of the centres that have some."""
    return [
        (name, one[level])
        for name, one in metrics["groups"].items()
        if name.startswith("centre ") and one[level] is not None
    ]


def _rates(figures: Json, baseline: Json, positive: str) -> str:
    answer = baseline["answers"]
    if positive != "tumour":
        answer = positive if answer == "tumour" else "other"
    rows = [
        row(
            tag("th", {"f1": "F1"}.get(name, name), scope="row"),
            estimate_cell(figures[name]),
            number_cell(figure_text(baseline[name])),
        )
        for name in _RATES
    ]
    return panel(
        "Rates",
        table(["", "|value", "|majority baseline"], rows, cls="points"),
        f"The baseline always answers “{text(answer)}”.",
    )


def _example(name: str, one: SlidePicture) -> str:
    overlap = one.slide.overlap
    dice = NOTHING if overlap is None else f"{overlap.dice:.3f}"
    title = {"only": "The slide"}.get(name, f"{name.capitalize()} slide")
    words = f"{title}: {one.slide.slide.name}, Dice {dice}"
    pictures = "".join(
        f'<img src="{uri}" alt="{text(words)}, {what}">'
        for uri, what in ((one.tissue, "truth outlined"), (one.agreement, "mask and truth"))
    )
    legend = (
        '<div class="chips"><span class="chip"><i class="swatch line-truth"></i>annotation</span>'
        '<span class="chip"><i class="swatch both"></i>mask and annotation</span>'
        '<span class="chip"><i class="swatch mask-only"></i>mask only</span>'
        '<span class="chip"><i class="swatch truth-only"></i>annotation only</span></div>'
    )
    inner = tag("h3", text(words)) + tag("div", pictures, cls="beside") + legend
    return tag("figure", inner, cls="panel example")


def _patch(one: PatchPicture) -> str:
    words = f"{one.slide.slide.name}, {one.x}, {one.y}"
    probability = tag("b", f"{one.probability:.3f}")
    return tag(
        "figure",
        f'<img src="{one.picture}" alt="{text(words)}">'
        + tag("figcaption", probability + tag("span", text(words))),
        cls="patch",
    )
