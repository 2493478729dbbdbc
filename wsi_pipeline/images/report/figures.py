"""The sections with figures: all images, each class, each source."""

from collections.abc import Mapping, Sequence
from typing import Any

from wsi_pipeline.classes import Classes
from wsi_pipeline.page.chart import unit_chart
from wsi_pipeline.page.markup import (
    NOTHING,
    chips,
    class_name,
    counted,
    estimate_cell,
    figure_text,
    interval_text,
    mini_interval,
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

Json = dict[str, Any]

#: How the figures of these sections are computed.
METHOD = {
    "Figures": "by scikit-learn. Macro: the mean over classes; the precision of a class that "
    "nothing is called counts as 0. AUC: how often an image of the class has a higher probability "
    "of it than one of another class.",
    "Baseline": "what always answering with the most frequent label of these images gets.",
    "Intervals": "95 %, percentile bootstrap over groups, drawn among those of their source and "
    "label. Of a share that is 0 or 1: exact (Clopper and Pearson 1934), each group counted once. "
    "F1, AUC and means that are 1 have an interval without width; of n groups, a share of errors "
    "up to 3/n is then still possible. What rests on one group has no interval.",
    "Calibration": "the mean distance of probability and frequency over 15 bins of equal width, "
    "without what chance adds to it: estimate and interval are of the errors at which the one "
    "found would be usual (test inversion bootstrap, Carpenter 1999).",
}


def figures_section(evaluation: Json, classes: Classes) -> str:
    """Figures of all labelled images, of each class, and the confusion matrix."""
    whole = evaluation["all"]
    if whole is None:
        return ""
    colours = _colours(classes)
    lead = (
        f"{counted(whole['images'], 'image')} with a label, in "
        f"{counted(whole['groups'], 'group')}. Class of interest: {evaluation['positive']}."
    )
    parts = [tag("div", "".join(_cards(whole, evaluation)), cls="cards"), _classes(whole, classes)]
    if whole["confusion"] is not None:
        parts.append(_matrix("Confusion matrix", whole, colours))
    parts.append(
        tag("div", _reliability(whole["calibration"], evaluation), style="max-width: 560px")
    )
    stack = tag("div", "".join(parts), cls="stack")
    return section("figures", "Compared with the labels", text(lead), stack)


def sources_section(evaluation: Json, classes: Classes) -> str:
    """Each source by itself; empty where there is one only."""
    sources: Mapping[str, Json] = evaluation["sources"]
    if not sources:
        return ""
    parts = [("all", evaluation["all"]), *sources.items()]
    quality = ["source", "|images", "|accuracy", "|most frequent class", "|macro F1", "|macro AUC"]
    doubt = ["source", "|calibration error", "|sets hold the truth", "|look again"]
    tables = [
        table(quality, [_quality(name, one) for name, one in parts]),
        table(doubt, [_doubt(name, one) for name, one in parts]),
    ]
    colours = _colours(classes)
    matrices = [
        _matrix(name, one, colours) for name, one in sources.items() if one["confusion"] is not None
    ]
    lead = (
        "A model knows the sources it was trained on best: a fall from one source to another shows "
        "what to expect of a new one. Macro figures are over the classes that a source has."
    )
    return section(
        "sources", "Sources", lead, tag("div", "".join((*tables, *matrices)), cls="stack")
    )


def _quality(name: str, one: Json) -> str:
    baseline = one["baseline"]
    beside = "" if baseline is None else f"{baseline['class']}: {baseline['accuracy']:.3f}"
    return row(
        tag("th", text(name), scope="row"),
        number_cell(f"{one['images']:,}"),
        estimate_cell(one["accuracy"]),
        number_cell(text(beside) or NOTHING),
        estimate_cell(one["macro"]["f1"]),
        estimate_cell(one["macro"]["auc"]),
        cls="total" if name == "all" else "",
    )


def _doubt(name: str, one: Json) -> str:
    sets = one["sets"]
    return row(
        tag("th", text(name), scope="row"),
        estimate_cell(one["calibration"]["error"]),
        estimate_cell(sets and sets["coverage"]),
        estimate_cell(sets and sets["review"]),
        cls="total" if name == "all" else "",
    )


def _cards(whole: Json, evaluation: Json) -> Sequence[str]:
    baseline, sets = whole["baseline"], whole["sets"]
    always = "" if baseline is None else f"always {baseline['class']}: "
    found = [
        _card(
            "accuracy",
            whole["accuracy"],
            always and f"{always}{baseline['accuracy']:.3f}",
        ),
        _card("macro F1", whole["macro"]["f1"], always and f"{always}{baseline['macro_f1']:.3f}"),
        _card("macro AUC", whole["macro"]["auc"], "one class against the others; chance: 0.500"),
    ]
    if evaluation["task"] == "binary":
        one = next(c for c in whole["classes"] if c["name"] == evaluation["positive"])
        found.append(_card(f"recall of {one['name']}", one["recall"], "sensitivity"))
        found.append(_card(f"precision of {one['name']}", one["precision"], ""))
    if sets is not None:
        asked = f"asked: {100 * sets['asked']:g} %"
        found.append(_card("sets hold the truth", sets["coverage"], asked, share=True))
        note = "accuracy of the others " + interval_text(sets["accuracy_of_the_others"])
        found.append(_card("look again", sets["review"], note, share=True))
    return found


def _card(title: str, estimate: Json, note: str, *, share: bool = False) -> str:
    words = share_text(estimate) if share else figure_text(estimate["value"])
    value, _, interval = words.partition(" (") if share else (words, "", "")
    if not share and estimate["low"] is not None:
        interval = f"{figure_text(estimate['low'])}–{figure_text(estimate['high'])}"
    return tag(
        "div",
        tag("div", text(title), cls="card-title")
        + tag("div", text(value), cls="card-value")
        + mini_interval(estimate)
        + tag("div", text(interval.removesuffix(")")), cls="card-interval")
        + tag("div", text(note), cls="card-note"),
        cls="card",
    )


def _classes(whole: Json, classes: Classes) -> str:
    colours = _colours(classes)
    rows = [
        row(
            tag("th", class_name(_marked(one["name"], classes), colours[one["name"]]), scope="row"),
            number_cell(f"{one['images']:,}"),
            number_cell(f"{one['called']:,}"),
            *(estimate_cell(one[name]) for name in ("precision", "recall", "f1", "auc")),
        )
        for one in whole["classes"]
    ]
    mean = [estimate_cell(whole["macro"][name]) for name in ("precision", "recall", "f1", "auc")]
    rows.append(row(tag("th", "mean", scope="row"), "", "", *mean, cls="total"))
    heads = ["class", "|images", "|predicted", "|precision", "|recall", "|F1", "|AUC"]
    return panel("Each class against all others", table(heads, rows, cls="points"))


def _matrix(title: str, one: Json, colours: Mapping[str, str]) -> str:
    confusion = one["confusion"]
    note = f"Correct: {interval_text(one['accuracy'])} of {counted(one['images'], 'image')}."
    return matrix_panel(title, confusion["labels"], confusion["counts"], note, colours)


def _reliability(calibration: Json, evaluation: Json) -> str:
    what = {
        "binary": f"share of {evaluation['positive']}",
        "multiclass": "share of right answers",
        "multilabel": "share that is of the class",
    }[evaluation["task"]]
    chart = unit_chart(x_label="probability given", y_label=what, label="Reliability")
    points = [(one["probability"], one["frequency"]) for one in calibration["bins"]]
    for one, point in zip(calibration["bins"], points, strict=True):
        chart.point(*point, "s1", f"{counted(one['images'], 'image')}: {point[1]:.3f} {what}")
    chart.line(points, "s1 thin")
    entries = [
        ("s1", f"calibration error {interval_text(calibration['error'])}"),
        ("chance", "perfect"),
    ]
    return panel("Reliability diagram", chart.svg(), chips(entries))


def _marked(name: str, classes: Classes) -> str:
    return f"{name} (of interest)" if name == classes.positive else name


def _colours(classes: Classes) -> dict[str, str]:
    coloured = {one.name: one.colour for one in classes.planes}
    return {name: coloured.get(name, "#8a8d96") for name in classes.names}
