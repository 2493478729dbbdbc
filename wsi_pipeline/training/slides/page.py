"""The report of a training with slide labels as one page that needs nothing but itself."""

from typing import Any

from wsi_pipeline.page.chart import Chart, unit_chart
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import (
    estimate_cell,
    figure_text,
    number_cell,
    panel,
    row,
    section,
    table,
    tag,
    text,
)
from wsi_pipeline.page.matrix import matrix_panel
from wsi_pipeline.page.report import footer, header

Json = dict[str, Any]
_PARTS = {
    "held_out": "held out: each slide by networks that never saw its group",
    "test": "test: slides that no network saw, by all networks together",
}


def slides_page(report: Json) -> str:
    """Write the page.

    Args:
        report: As it is written beside the package.
    """
    body = [_header(report), _figures(report), _folds(report)]
    if "classes" in report:
        body += [_calibration(report), _confusion(report)]
    body += [_course(report), footer()]
    return document(f"Training of {report['package']}", "".join(body))


def _header(report: Json) -> str:
    recipe, data = report["recipe"], report["data"]
    facts = [
        f"recipe {recipe['name']}: {recipe['about']}",
        f"{data['slides']:,} slides of {data['origin']}, {data['features']:,} numbers of each "
        f"tile; {recipe['folds']} folds, {recipe['repeats']} times; seed {report['seed']}",
    ]
    if "classes" in report:
        facts.append(
            f"classes: {', '.join(report['classes'])}; positive class: {report['positive']}"
        )
    if not data["grouped"]:
        facts.append(
            "The table names no groups or patients: every slide was taken for one of its own."
        )
    return header(f"Training of {report['package']}", facts)


def _figures(report: Json) -> str:
    names = ("auc", "accuracy") if "classes" in report else ("c_index",)
    rows = []
    for part, words in _PARTS.items():
        figures = report[part]
        if figures is not None:
            slides = ", ".join(f"{count} {name}" for name, count in figures["slides"].items())
            rows.append(
                row(
                    tag("th", text(words), scope="row"),
                    text(slides),
                    *(estimate_cell(figures[name]) for name in names),
                )
            )
    lead = "95 % intervals: groups drawn again 2000 times, within their class."
    heads = ["part", "slides", *(f"|{name.replace('_', '-')}" for name in names)]
    return section("figures", "Figures", lead, table(heads, rows))


def _folds(report: Json) -> str:
    found = report["by_fold"]
    parts = found if "folds" in found else {"folds": found}
    name = "AUC" if "classes" in report else "c-index"
    rows = [
        row(
            tag("th", text(f"{name} of the {part}"), scope="row"),
            text(", ".join(figure_text(value) for value in one["values"])),
            number_cell(figure_text(one["mean"])),
            number_cell(figure_text(one["sd"])),
        )
        for part, one in parts.items()
    ]
    lead = "None is left out; a fold without one of the classes has no figure."
    heads = ["of", "each", "|mean", "|standard deviation"]
    return section("folds", "Folds and repeats", lead, table(heads, rows))


def _calibration(report: Json) -> str:
    diagram = report["held_out"]["calibration"]
    label = "Probability against share"
    chart = unit_chart(
        x_label="probability",
        y_label=f"share of {report['positive']}",
        label=label,
    )
    for x, y, count in zip(
        diagram["probability"], diagram["frequency"], diagram["count"], strict=True
    ):
        if x is not None:
            chart.point(x, y, "s1", f"{count} slides: {x:.2f} said, {y:.2f} found")
    rule = report["rule"]
    lead = (
        f"{report['calibration']['fitted']}; {report['calibration']['measured']}. Expected "
        f"calibration error {diagram['ece']:.3f}."
    )
    states = tag("p", text(_states(rule)))
    drawn = tag("div", panel(label, chart.svg()), style="max-width: 480px")
    return section("calibration", "Calibration and states", text(lead), drawn, states)


def _states(rule: Json) -> str:
    clear, suspicious = rule["clear_below"], rule["suspicious_from"]
    below = (
        f"Below a probability of {clear:.3g} a slide is clear: of such slides at most "
        f"{100 * rule['alpha']:g} % are positive, with {100 * (1 - rule['delta']):g} % confidence."
        if clear is not None
        else f"No slide can be called clear: {rule['slides']} slides, one of each group, are too "
        "few, or are not told apart well enough."
    )
    above = (
        f" From {suspicious:.3g} on it is suspicious."
        if suspicious is not None
        else " None can be called suspicious either."
    )
    return below + above


def _confusion(report: Json) -> str:
    panels = [
        matrix_panel(
            words.split(":", maxsplit=1)[0],
            report["classes"],
            report[part]["confusion"],
            text(words),
        )
        for part, words in _PARTS.items()
        if report[part] is not None
    ]
    return section("confusion", "Confusion", "By the most likely class.", *panels)


def _course(report: Json) -> str:
    """Losses of every network; the inner ones decide when it ends."""
    histories = [one["history"] for one in report["networks"]]
    last = max(len(history) for history in histories)
    if last < 2:
        return ""
    most = max(max(one.values()) for history in histories for one in history)
    most = most if most > 0 else 1.0
    ticks = [(place / (last - 1), str(place + 1)) for place in range(0, last, 1 + last // 10)]
    heights = [(step / 4, f"{step * most / 4:.2g}") for step in range(5)]
    label = "Losses of each epoch"
    chart = Chart(ticks, heights, x_label="epoch", y_label="inner loss", label=label)
    for history in histories:
        points = [(place / (last - 1), one["inner"] / most) for place, one in enumerate(history)]
        chart.line(points, "s1")
    lead = "Loss on the inner part of the groups, a line for each network; its least is kept."
    inner = tag("div", panel(label, chart.svg()), style="max-width: 560px")
    return section("course", "Course of the training", lead, inner)
