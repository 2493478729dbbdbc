"""The charts of an evaluation, from its figures."""

import math
from collections.abc import Sequence

import numpy as np

from wsi_pipeline.page.chart import Chart, unit_chart, unit_ticks
from wsi_pipeline.page.markup import (
    Json,
    chips,
    interval_text,
    panel,
    tag,
    text,
)

#: Where the FROC chart begins: it is drawn over the logarithm of false positives.
_FROC_FROM, _FROC_TO = 0.125, 8.0
_FROC_TICKS = ((0.125, "⅛"), (0.25, "¼"), (0.5, "½"), (1, "1"), (2, "2"), (4, "4"), (8, "8"))
_SERIES = ("s2", "s3", "s4", "s5", "s6")

Named = Sequence[tuple[str, Json]]


def roc_panel(title: str, whole: Json, centres: Named, note: str = "") -> str:
    """A ROC curve with its band, and those of centres."""
    chart = unit_chart(
        x_label="false positive rate",
        y_label="true positive rate",
        label=f"ROC curve: {title}",
    )
    _band(chart, whole["roc"]["band"], "s1")
    entries = []
    shown = [(name, one) for name, one in centres if one["auc"]["value"] is not None]
    for colour, (name, one) in zip(_SERIES, shown if len(shown) > 1 else [], strict=False):
        _line(chart, one["roc"], "false_positive_rate", "true_positive_rate", f"{colour} thin")
        entries.append((colour, f"{text(name)}: {interval_text(one['auc'])}"))
    _line(chart, whole["roc"], "false_positive_rate", "true_positive_rate", "s1")
    entries.insert(0, ("s1", f"all, AUC {interval_text(whole['auc'])}"))
    entries.append(("chance", "chance"))
    return panel(title, chart.svg(), chips(entries) + note)


def precision_recall_panel(patch: Json, positive: str) -> str:
    """Precision over recall of tiles."""
    chart = Chart(
        unit_ticks(),
        unit_ticks(),
        x_label="recall",
        y_label="precision",
        label="Precision over recall of tiles",
    )
    baseline = patch["average_precision_baseline"] or 0
    chart.line([(0, baseline), (1, baseline)], "chance")
    curve = patch["precision_recall"]
    _band(chart, curve["band"], "s1")
    _line(chart, curve, "recall", "precision", "s1")
    entries = [
        ("s1", f"average precision {interval_text(patch['average_precision'])}"),
        ("chance", f"share of {text(positive)} tiles, {baseline:.3f}"),
    ]
    return panel("Precision and recall", chart.svg(), chips(entries))


def froc_panel(lesion: Json, centres: Named) -> str:
    """Sensitivity over false positives per slide, with the six operating points."""
    chart = Chart(
        _FROC_TICKS,
        unit_ticks(),
        x_label="false positives per slide",
        y_label="sensitivity",
        label="FROC curve",
        x_scale=_logarithmic,
    )
    band = lesion["curve"] and lesion["curve"]["band"]
    if band:
        inside = [index for index, at in enumerate(band["at"]) if at >= _FROC_FROM]
        at, low, high = ([band[key][index] for index in inside] for key in ("at", "low", "high"))
        chart.band(at, low, high, "s1")
    entries = []
    shown = [(name, one) for name, one in centres if one["curve"]]
    for colour, (name, one) in zip(_SERIES, shown if len(shown) > 1 else [], strict=False):
        chart.line(_froc_points(one["curve"]), f"{colour} thin")
        entries.append((colour, f"{text(name)}: {interval_text(one['froc'])}"))
    if lesion["curve"]:
        chart.line(_froc_points(lesion["curve"]), "s1")
    for point in lesion["operating_points"]:
        sensitivity = point["sensitivity"]
        if sensitivity["value"] is None:
            continue
        interval = None
        if sensitivity["low"] is not None:
            interval = sensitivity["low"], sensitivity["high"]
        words = f"{point['false_positives']:g} per slide: {interval_text(sensitivity)}"
        chart.point(point["false_positives"], sensitivity["value"], "s1", words, interval)
    entries.insert(0, ("s1", f"all, FROC {interval_text(lesion['froc'])}"))
    return panel("FROC", chart.svg(), chips(entries))


def reliability_panel(patch: Json, positive: str) -> str:
    """How often tiles of a probability were of the class, and how many tiles there are of each."""
    calibration = patch["calibration"]
    chart = Chart(
        unit_ticks(),
        unit_ticks(),
        x_label="probability given",
        y_label=f"fraction of {positive}",
        label="Reliability diagram",
    )
    most = max((math.log1p(item["tiles"]) for item in calibration["bins"]), default=1) or 1
    for item in calibration["bins"]:
        if item["tiles"]:
            words = f"{item['tiles']:,} tiles from {item['from']:.2f} to {item['to']:.2f}"
            height = 0.22 * math.log1p(item["tiles"]) / most
            chart.bar(item["from"], item["to"], height, "quiet", words)
    chart.line([(0, 0), (1, 1)], "chance")
    points = []
    for item in calibration["bins"]:
        frequency = item["frequency"]
        if not item["tiles"]:
            continue
        points.append((item["probability"], frequency["value"]))
        interval = None
        if frequency["low"] is not None:
            interval = frequency["low"], frequency["high"]
        words = (
            f"{item['tiles']:,} tiles of mean probability {item['probability']:.3f}: "
            f"{interval_text(frequency)} {positive}"
        )
        chart.point(*points[-1], "s1", words, interval)
    chart.line(points, "s1 thin")
    error = calibration["expected_calibration_error"]
    entries = [
        ("s1", f"calibration error {interval_text(error)}"),
        ("chance", "perfect"),
        ("quiet", "tiles (log scale)"),
    ]
    return panel("Reliability", chart.svg(), chips(entries))


def dice_panel(rows: Sequence[Json]) -> str:
    """Dice of every slide, the worst first, coloured by centre."""
    known = sorted((r for r in rows if r["dice"] is not None), key=lambda r: float(r["dice"]))
    if not known:
        return ""
    centres = sorted({r["centre"] for r in known})
    # As in the other charts; who names no centres has one colour.
    colours = dict(zip(centres, _SERIES, strict=False)) if len(centres) > 1 else {}
    chart = Chart(
        [],
        unit_ticks(),
        x_label="slides, worst first",
        y_label="Dice",
        label="Dice of every slide",
    )
    pad = 0.5 / len(known) * 0.3
    for index, one in enumerate(known):
        left, right = index / len(known) + pad, (index + 1) / len(known) - pad
        words = f"{one['slide']}: Dice {one['dice']:.3f}, IoU {one['iou']:.3f}"
        colour = colours.get(one["centre"], "s1")
        chart.bar(left, right, max(float(one["dice"]), 0.004), colour, words)
    named = [
        (colours.get(c, "s1"), f"centre {text(c)}" if c else "centre unknown") for c in centres
    ]
    return panel("Dice per slide", chart.svg(), chips(named))


def confusion_panel(title: str, confusion: Json, note: str = "", positive: str = "tumour") -> str:
    """The four counts, shaded by their share of the true class."""
    cells = {"tp": "tumour", "fn": "tumour", "fp": "normal", "tn": "normal"}
    totals = {
        "tumour": confusion["tp"] + confusion["fn"],
        "normal": confusion["fp"] + confusion["tn"],
    }

    # What is not tumour is normal; what is not another class may be anything.
    yes, no = text(positive), "normal" if positive == "tumour" else "other"

    def cell(key: str) -> str:
        count, total = confusion[key], totals[cells[key]]
        share = count / total if total else 0.0
        words = tag("b", f"{count:,}") + tag("small", f"{100 * share:.1f} %" if total else "–")
        cls = "right" if key in ("tp", "tn") else "wrong"
        return f'<td class="cell {cls}" style="--share:{share:.3f}">{words}</td>'

    head = tag(
        "tr",
        f"<td></td><th scope='col'>model: {yes}</th><th scope='col'>model: {no}</th>",
    )
    rows = [
        tag("tr", f"<th scope='row'>is {yes}</th>{cell('tp')}{cell('fn')}"),
        tag("tr", f"<th scope='row'>is {no}</th>{cell('fp')}{cell('tn')}"),
    ]
    return panel(title, tag("table", head + "".join(rows), cls="confusion"), note)


def _froc_points(curve: Json) -> list[tuple[float, float]]:
    """The curve at even steps of a logarithmic axis, straight between its points."""
    at = np.geomspace(_FROC_FROM, _FROC_TO, 193)
    along = np.interp(at, curve["false_positives"], curve["sensitivity"])
    return list(zip(at.tolist(), along.tolist(), strict=True))


def _logarithmic(value: float) -> float:
    share = math.log(max(value, _FROC_FROM) / _FROC_FROM) / math.log(_FROC_TO / _FROC_FROM)
    return min(share, 1.0)


def _band(chart: Chart, band: Json | None, cls: str) -> None:
    if band:
        chart.band(band["at"], band["low"], band["high"], cls)


def _line(chart: Chart, curve: Json, x: str, y: str, cls: str) -> None:
    points = [
        (one, other)
        for one, other in zip(curve[x], curve[y], strict=True)
        if one is not None and other is not None
    ]
    chart.line(points, cls)
