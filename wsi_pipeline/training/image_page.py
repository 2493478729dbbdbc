"""The report of a training on single images as one page that needs nothing but itself."""

from typing import Any

from wsi_pipeline.classes import Classes, ModelClass, Task
from wsi_pipeline.images.report.figures import METHOD, figures_section, sources_section
from wsi_pipeline.page.chart import Chart, unit_ticks
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import (
    chips,
    counted,
    number_cell,
    panel,
    row,
    section,
    table,
    tag,
    text,
)
from wsi_pipeline.page.report import footer, header, method_section

Json = dict[str, Any]

_INTRODUCED = {
    "train": "trained on",
    "validation": "epoch, temperature, threshold and prediction sets chosen on",
    "test": "looked at in the end only",
    "external": "another source, looked at in the end only",
}


def training_page(report: Json) -> str:
    """Write the page.

    Args:
        report: As it is written beside the package.
    """
    names, positive = report["classes"], report["positive"]
    task: Task = "binary" if len(names) == 2 else "multiclass"
    classes = Classes(task, tuple(map(ModelClass, names)), positive)
    told = {"positive": positive, "task": task}
    body = [_header(report), _warnings(report), _data(report)]
    body.append(figures_section({**told, "all": report["test"]}, classes))
    body.append(
        sources_section({**told, "all": report["test"], "sources": _parts(report)}, classes)
    )
    body += [_course(report), _method(report), footer()]
    return document(f"Training of {report['package']}", "".join(body))


def _parts(report: Json) -> Json:
    """Everything beside the test images of all sources: other sources, and those of each part."""
    found: Json = {}
    for part, named in (("test", "test"), ("external", report["data"]["test_source"])):
        if report[part] is None:
            continue
        if part == "external":
            found[f"{named} (never trained on)"] = report[part]
        if len(report[part]["sources"]) > 1:
            found |= {f"{part}, {name}": one for name, one in report[part]["sources"].items()}
    return found


def _header(report: Json) -> str:
    recipe = report["recipe"]
    facts = [
        f"classes: {', '.join(report['classes'])}; positive class: {report['positive']}",
        f"recipe {recipe['name']}: {recipe['about']}",
        f"network {recipe['architecture']['name']}, head {recipe['head']['kind']}, start "
        f"{recipe['init']}, {recipe['patch_px']} px, seed {report['seed']}",
    ]
    return header(f"Training of {report['package']}", facts)


def _warnings(report: Json) -> str:
    """What a person has to know before believing a figure."""
    data = report["data"]
    lines = []
    if data["split_by"] == "image":
        lines.append(f"{data['note'][:1].upper()}{data['note'][1:]}.")
    lines += [f"{line}." for line in data["doubtful"]]
    lines += [f"Left out: {line}." for line in data["left_out"]]
    if data["kept_apart"]:
        lines.append(
            f"{counted(data['kept_apart'], 'image')} left out: of one group with an image of "
            f"{data['test_source']}, or the same picture as one."
        )
    return "".join(tag("p", text(line), cls="warning") for line in lines)


def _data(report: Json) -> str:
    rows = []
    for part, facts in report["data"]["parts"].items():
        counts = [number_cell(f"{facts['of_class'][name]:,}") for name in report["classes"]]
        rows.append(
            row(
                tag("th", text(f"{part}: {_INTRODUCED[part]}"), scope="row"),
                number_cell(f"{facts['images']:,}"),
                number_cell(f"{facts['groups']:,}"),
                *counts,
            )
        )
    heads = ["part", "|images", "|groups", *(f"|{name}" for name in report["classes"])]
    lead = f"From {report['data']['origin']}. {report['data']['alike_note']}."
    return section("data", "Images", text(lead), table(heads, rows))


def _course(report: Json) -> str:
    """How the validation figures went on; of a fitted head there is nothing to draw."""
    history = report["history"]
    if len(history) < 2:
        return ""
    last = len(history) - 1
    ticks = [(place / last, str(place + 1)) for place in range(0, len(history), 1 + last // 10)]
    chart = Chart(ticks, unit_ticks(), x_label="epoch", y_label="validation", label="Course")
    entries = []
    for name, style in (("auc", "s1"), ("f1", "s2")):
        values = [(place / last, one["validation"][name]) for place, one in enumerate(history)]
        chart.line(values, style)
        entries.append((style, {"auc": "mean AUC", "f1": "mean F1"}[name]))
    best = report["best"].get("best_epoch")
    lead = (
        f"Means over the classes, on the validation images. The weights of epoch {best} are kept."
    )
    drawn = panel("Validation figures of each epoch", chart.svg(), chips(entries))
    inner = tag("div", drawn, style="max-width: 560px")
    return section("course", "Course of the training", text(lead), inner)


def _method(report: Json) -> str:
    threshold, temperature = report["threshold"], report["calibration"]["temperature"]
    decided = (
        f"{report['positive']} from a probability of {threshold['value']:.4f} on "
        f"({threshold['rule']})"
        if threshold["value"] is not None
        else "an image is of its most likely class"
    )
    items = {
        "Decision": f"{decided}; logits are divided by a temperature of {temperature:g}. Both were "
        "chosen on the validation images only.",
        "Sets": f"prediction sets hold every class whose probability is at least "
        f"{1 - report['conformal']['limit']:.4f} (split conformal prediction, Sadinle, Lei and "
        "Wasserman 2019); of another laboratory's images nothing is promised.",
        **METHOD,
    }
    return method_section(items, "Every number of this page is in the JSON file beside it.")
