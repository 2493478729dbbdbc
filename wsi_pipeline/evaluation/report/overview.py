"""What the report begins and ends with: the headline, figures by group, and every slide."""

from wsi_pipeline.evaluation.report.kinds import KINDS
from wsi_pipeline.page.markup import (
    NOTHING,
    Json,
    estimate_cell,
    figure_text,
    mini_interval,
    number_cell,
    row,
    section,
    table,
    tag,
    text,
)


def headline(metrics: Json) -> str:
    """The few numbers people ask for first."""
    values, positive = metrics["headline"], metrics["positive"]
    cards = []
    for key, title, note in (
        ("slide_auc", "Slide AUC", f"separates slides with {positive} from those without"),
        ("froc", "FROC", "mean sensitivity at ¼ to 8 false positives per slide"),
        ("dice", "Dice", "mean agreement of mask and annotation"),
        ("patch_auc", "Patch AUC", f"separates {positive} tiles from others"),
        ("patch_recall", "Patch recall", f"share of the {positive} tiles found"),
        ("expected_calibration_error", "Calibration error", "lower is better"),
    ):
        one = values[key]
        if one is None or one["value"] is None:
            continue
        interval = ""
        if one["low"] is not None:
            interval = f"95 % {figure_text(one['low'])}–{figure_text(one['high'])}"
        cards.append(
            tag(
                "div",
                tag("div", text(title), cls="card-title")
                + tag("div", figure_text(one["value"]), cls="card-value")
                + mini_interval(one)
                + tag("div", interval, cls="card-interval")
                + tag("div", text(note), cls="card-note"),
                cls="card",
            )
        )
    return tag("div", "".join(cards), cls="cards") if cards else ""


def groups(metrics: Json) -> str:
    """The same figures for each centre and kind of metastasis."""
    every = metrics["groups"]
    if len(every) < 2:
        return ""
    rows = []
    for name, one in every.items():
        slide, lesion = one["slide_level"], one["lesion_level"]
        masks, patch = one["segmentation"], one["patch_level"]
        rows.append(
            row(
                tag("th", text(KINDS.get(name, name)), scope="row"),
                number_cell(f"{one['tumour']} + {one['normal']}"),
                estimate_cell(slide and slide["auc"]),
                estimate_cell(lesion and lesion["froc"]),
                estimate_cell(masks and masks["dice"]["mean"]),
                estimate_cell(patch and patch["auc"]),
                estimate_cell(patch and patch["recall"]),
                cls="total" if name == "all" else "",
            )
        )
    others = "normal" if metrics["positive"] == "tumour" else "others"
    heads = [
        "slides",
        f"|{metrics['positive']} + {others}",
        "|slide AUC",
        "|FROC",
        "|Dice",
        "|patch AUC",
    ]
    return section(
        "groups",
        "By centre and by kind of metastasis",
        "Slides of a kind of metastasis are compared with all normal slides. Intervals of few "
        "slides are wide, and too narrow if every slide was classified correctly.",
        table([*heads, "|patch recall"], rows, cls="groups"),
    )


def table_section(metrics: Json) -> str:
    """What is known of each slide."""
    rows = []
    for one in metrics["slides"]:
        called = _called(one)
        wrong = called is not None and one["positive"] is not None and called != one["positive"]
        lesions = NOTHING
        if one["lesions"] is not None and one["positive"]:
            lesions = f"{one['found']} of {one['lesions']}"
        false = NOTHING if one["false_positives"] is None else str(one["false_positives"])
        lost = one["tumour_not_analysed"]
        reasons = "; ".join(f"{key}: {why}" for key, why in one["notes"].items())
        rows.append(
            row(
                tag("th", text(one["slide"]), scope="row"),
                text(one["centre"] or NOTHING),
                text(KINDS.get(one["kind"] or one["label"] or "", NOTHING)),
                number_cell(figure_text(one["score"])),
                tag("span", "wrong", cls="flag") if wrong else "",
                number_cell(lesions),
                number_cell(false),
                number_cell(figure_text(one["dice"])),
                number_cell(NOTHING if lost is None else f"{100 * lost:.1f} %"),
                tag("span", text(reasons), cls="quiet") if reasons else "",
            )
        )
    heads = ["slide", "centre", "truth", "|score", "", "|lesions found", "|false positives"]
    return section(
        "slides",
        "Every slide",
        "In the order of the table. Wrong classifications are marked.",
        table([*heads, "|Dice", "|not analysed", ""], rows, cls="slides"),
    )


def _called(one: Json) -> bool | None:
    if one["score"] is None or one["threshold"] is None:
        return None
    return float(one["score"]) >= float(one["threshold"])
