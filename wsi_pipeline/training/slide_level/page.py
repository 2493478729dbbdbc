"""The report of a fit for whole slides as one page that needs nothing but itself."""

from typing import Any

import numpy as np

from wsi_pipeline.page.chart import Chart, unit_chart
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import (
    chips,
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
from wsi_pipeline.page.report import footer, header

Json = dict[str, Any]
_FIGURES = {
    "auc": "AUC of the fitted probability",
    "auc_max": "AUC of the largest probability of a cell",
    "auc_difference": "Difference of the two",
    "brier": "Brier score",
    "calibration_error": "Expected calibration error",
}
_BARS = 20


def slide_level_page(report: Json) -> str:
    """Write the page.

    Args:
        report: As it is written beside the package.
    """
    body = [_header(report), _figures(report), _rule(report), _splits(report), _slides(report)]
    body.append(footer())
    return document(f"Slide level of {report['package']}", "".join(body))


def _header(report: Json) -> str:
    about = report["section"]
    counts = ", ".join(f"{count} {name}" for name, count in about["slides"].items())
    facts = [
        f"{report['package']} {report['version']}: {about['kind']}",
        f"fitted on {about['fitted']}",
        f"slides: {counts}; of {about['patients']} patients",
        f"calibration: {about['calibration']['method']}, on {about['calibration']['fitted']}",
    ]
    if report["left_out"]:
        facts.append(f"left out, since nothing was classified: {', '.join(report['left_out'])}")
    synthetic = "Synthetic tissue: this says nothing about real slides."
    warnings = [synthetic] if report["synthetic"] else []
    return header(f"Slide level of {report['package']}", facts, warnings=warnings)


def _figures(report: Json) -> str:
    figures = report["figures"]
    rows = [
        row(tag("th", text(words), scope="row"), estimate_cell(figures[name]))
        for name, words in _FIGURES.items()
    ]
    roc = unit_chart(
        x_label="false positive rate",
        y_label="true positive rate",
        label="ROC curves of both scores",
    )
    for name, style in (("max", "s2"), ("fit", "s1")):
        curve = figures["roc"][name]
        points = zip(curve["false_positive_rate"], curve["true_positive_rate"], strict=True)
        roc.line(list(points), style)
    diagram = unit_chart(
        x_label="probability",
        y_label="share of positive slides",
        label="Reliability diagram",
    )
    bins = figures["reliability"]
    for x, y, count in zip(bins["probability"], bins["frequency"], bins["slides"], strict=True):
        diagram.point(x, y, "s1", f"{count} slides: probability {x:.2f}, {y:.2f} positive")
    p = figures["auc_difference"]["delong_p"]
    lead = (
        f"{figures['slides']} slides, {figures['positive']} of them positive, none scored by a fit "
        "that has seen its patient. 95 % intervals draw patients. DeLong's test of the difference, "
        f"which counts slides as independent: p = {'–' if p is None else f'{p:.2g}'}."
    )
    legend = chips([("s1", "fitted probability"), ("s2", "largest probability of a cell")])
    charts = tag(
        "div",
        panel("ROC curves", roc.svg(), legend) + panel("Calibration", diagram.svg()),
        cls="pair",
    )
    return section("figures", "Slides no fit had seen", lead, table(["", "|value"], rows), charts)


def _rule(report: Json) -> str:
    rule = report["section"]["rule"]
    clear, suspicious = rule["clear_below"], rule["suspicious_from"]
    states = [
        (
            "Clear",
            "none"
            if clear is None
            else f"probability below {clear:.4g}: {rule['clear']} validation slides, "
            f"{rule['missed']} of them positive (upper bound {rule['bound']:.3f})",
        ),
        ("Suspicious", "none" if suspicious is None else f"probability from {suspicious:.4g} on"),
        ("Look again", "all others, and slides below the limit with an alarm"),
    ]
    rows = [row(tag("th", text(name), scope="row"), text(words)) for name, words in states]
    lead = (
        f"Of slides called clear, at most {100 * rule['alpha']:g} % are positive; of slides called "
        f"suspicious, at most {100 * rule['false_alarms']:g} % are negative; each with "
        f"{100 * (1 - rule['delta']):g} % confidence. From {rule['slides']} slides, one of each "
        f"patient, {rule['positives']} of them positive; their probabilities are {rule['scores']}. "
        f"At least {rule['needed']} slides below a limit, none of them positive, are needed to "
        "call any slide clear."
    )
    return section("states", "The three states", text(lead), table(["state", "which"], rows))


def _splits(report: Json) -> str:
    rule, splits = report["section"]["rule"], report["splits"]
    clear = np.array(splits["clear"])
    shares = np.array(splits["missed"]) / np.maximum(clear, 1)
    widest = max(2 * rule["alpha"], float(shares.max(initial=0)) * 1.05)
    counts, edges = np.histogram(shares, _BARS, (0, widest))
    most = max(int(counts.max()), 1)
    chart = Chart(
        [(place / 4, f"{100 * widest * place / 4:.3g} %") for place in range(5)],
        [(place / 4, f"{most * place / 4:.0f}") for place in range(5)],
        x_label="positive slides among those called clear",
        y_label="divisions",
        label="Share of missed slides in random divisions",
    )
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            style = "s1" if low < rule["alpha"] else "s2"
            note = f"{count} divisions: {100 * low:.2g} to {100 * high:.2g} %"
            chart.bar(low / widest, high / widest, count / most, style, note)
    chart.line([(rule["alpha"] / widest, 0), (rule["alpha"] / widest, 1)], "chance")
    never = int((clear == 0).sum())
    lead = (
        f"{splits['splits']} times the limit was chosen on a random half of the slides, and the "
        f"share counted on the other. It was at most {100 * rule['alpha']:g} % in "
        f"{100 * splits['kept']:.3g} % of the divisions (stated: at least "
        f"{100 * (1 - rule['delta']):g} %). In {never} of them no slide of the other half was "
        "called clear, which counts as a share of 0."
    )
    drawn = tag("div", panel("Share of missed slides", chart.svg()), style="max-width: 560px")
    return section("splits", "Does the statement hold", text(lead), drawn)


def _slides(report: Json) -> str:
    ordered = sorted(report["slides"], key=lambda one: -one["probability"])
    rows = [
        row(
            tag("th", text(one["slide"]), scope="row"),
            text(one["label"]),
            number_cell(figure_text(one["probability"])),
            number_cell(figure_text(one["max"])),
        )
        for one in ordered
    ]
    heads = ["slide", "class", "|probability", "|largest of a cell"]
    lead = "By their probability, each from a fit that has not seen its patient."
    return section("slides", "Slides", lead, table(heads, rows))
