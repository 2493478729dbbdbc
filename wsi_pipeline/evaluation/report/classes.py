"""The section of the classes: figures of each, and which were taken for which."""

from wsi_pipeline.page.markup import (
    NOTHING,
    Json,
    class_name,
    counted,
    estimate_cell,
    interval_text,
    number_cell,
    panel,
    row,
    section,
    table,
    tag,
    text,
)
from wsi_pipeline.page.matrix import matrix_panel

_RULES = {
    "multiclass": "A cell has its most likely class",
    "multilabel": "A cell may have several classes; its label is the most likely one that "
    "reaches the threshold",
}


def classes_section(metrics: Json) -> str:
    """Of a model with several classes; empty for others."""
    level = metrics["classes"]
    if level is None:
        return ""
    rows = [_class(one, level) for one in level["classes"]]
    heads = ["class", "|annotated slides", "|cells", "|area in truth", "|area in mask"]
    names = [one["name"] for one in level["classes"]]
    colours = {one["name"]: one["colour"] for one in level["classes"]}
    note = f"Correct: {interval_text(level['accuracy'])} of {counted(level['cells'], 'cell')}."
    rest = ""
    if level["background"] is not None:
        rest = f" What no annotation covers counts as {level['background']}."
    left = level["left_out"]
    missing = f"Left out, of other classes: {', '.join(left)}." if left else ""
    return section(
        "classes",
        "Classes",
        text(
            f"{len(names)} classes on {counted(level['slides'], 'fully annotated slide')}. "
            f"{_RULES[level['task']]}. Class of interest, which all other sections are of: "
            f"{level['positive']}.{rest}"
        ),
        panel(
            "Each class against all others",
            table([*heads, "|Dice", "|IoU", "|AUC of cells"], rows, cls="points"),
            "Dice and IoU: all px of the slides together, at the level of the mask.",
        ),
        matrix_panel("Cells", level["labels"], level["confusion"], note, colours),
        tag("p", text(missing), cls="quiet") if missing else "",
    )


def _class(one: Json, level: Json) -> str:
    interest = " (of interest)" if one["name"] == level["positive"] else ""
    annotated = str(one["annotated_slides"])
    if one["name"] == level["background"]:
        annotated = NOTHING
    return row(
        tag("th", class_name(one["name"] + interest, one["colour"]), scope="row"),
        number_cell(annotated),
        number_cell(f"{one['cells']:,}"),
        number_cell(f"{one['truth_mm2']:.3g} mm²"),
        number_cell(f"{one['mask_mm2']:.3g} mm²"),
        estimate_cell(one["dice"]["pooled"]),
        estimate_cell(one["iou"]["pooled"]),
        estimate_cell(one["auc"]),
        cls="total" if interest else "",
    )
