"""A training's report on the terminal: the figures a person wants first."""

import sys
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
#: Widest name of a class before it is cut.
_NAME = 20


def print_report(report: Json) -> None:
    """Print to standard output."""
    if "folds" in report:
        lines = _of_folds(report)
    elif report["data"].get("kind") == "images":
        lines = list(_of_images(report))
    else:
        lines = _of_slides(report)
    if report["synthetic"]:
        lines.append("  trained on synthetic tissue: this says nothing about real tissue")
    sys.stdout.write("\n".join(lines) + "\n")


def _of_folds(report: Json) -> list[str]:
    lines = [f"{report['folds']} folds, by patient; mean (standard deviation)"]
    for name, figure in report["validation"].items():
        lines.append(
            f"  {name.replace('_', ' '):<20}{_number(figure['mean'])} ({_number(figure['sd'])})"
        )
    return lines


def _of_slides(report: Json) -> list[str]:
    figures = report["validation"]
    baseline = figures["majority_baseline"]
    lines = [
        f"{report['package']}",
        f"  validation: {figures['patches']:,} patches of {figures['units']:,} slides, "
        f"{figures['tumour']:,} positive",
    ]
    for name in ("auc", "accuracy", "recall", "specificity"):
        beside = f"; majority baseline {baseline[name]:.3f}" if name in baseline else ""
        lines.append(f"    {name:<12}{_estimate(figures[name], beside)}")
    calibration, threshold = report["calibration"], report["threshold"]
    lines.append(
        f"  temperature {calibration['temperature']:g}, expected calibration error "
        f"{_number(calibration['before']['ece'])} before, "
        f"{_number(calibration['after']['ece'])} after"
    )
    lines.append(f"  threshold {threshold['value']:g} ({threshold['rule']})")
    return lines


def _of_images(report: Json) -> Iterator[str]:
    data, threshold = report["data"], report["threshold"]
    yield f"{report['package']}"
    yield f"  classes: {', '.join(report['classes'])}; positive class: {report['positive']}"
    parts = data["parts"]
    counts = ", ".join(f"{part} {facts['images']:,}" for part, facts in parts.items())
    yield f"  images: {counts}; split by {data['split_by']}: {data['note']}"
    if data["alike"]:
        yield f"  {data['alike_note']}"
    for part in ("test", "external"):
        if report[part] is not None:
            named = f"external ({data['test_source']})" if part == "external" else part
            yield from _of_part(named, report[part], report["positive"])
            for source, figures in report[part]["sources"].items():
                yield from _of_part(f"{part}, source {source}", figures, report["positive"])
    yield f"  temperature {report['calibration']['temperature']:g} (validation images)"
    if threshold["value"] is not None:
        yield f"  threshold of {report['positive']} {threshold['value']:g} ({threshold['rule']})"


def _of_part(named: str, figures: Json, positive: str) -> Iterator[str]:
    baseline, macro, sets = figures["baseline"], figures["macro"], figures["sets"]
    yield f"  {named}: {figures['images']:,} images of {figures['groups']:,} groups"
    always = f"; always {baseline['class']}"
    lines = (
        ("accuracy", figures["accuracy"], f"{always} {baseline['accuracy']:.3f}"),
        ("mean F1", macro["f1"], f"{always} {baseline['macro_f1']:.3f}"),
        ("mean recall", macro["recall"], f"{always} {baseline['macro_recall']:.3f}"),
        ("mean AUC", macro["auc"], f"{always} 0.500"),
        ("calibration", figures["calibration"]["error"], "; expected error"),
        ("coverage", sets["coverage"], f"; sets made for {sets['asked']:g}"),
        ("review", sets["review"], "; sets of another size than one"),
    )
    for name, estimate, beside in lines:
        yield f"    {name:<12}{_estimate(estimate, beside)}"
    yield f"    {'class (* positive)':<{_NAME}}  images  precision  recall      F1     AUC"
    for one in figures["classes"]:
        numbers = "".join(
            f"{_number(one[key]['value']):>{width}}"
            for key, width in (("precision", 11), ("recall", 8), ("f1", 8), ("auc", 8))
        )
        name = ("* " if one["name"] == positive else "") + one["name"]
        yield f"    {name[:_NAME]:<{_NAME}}{one['images']:>8,}{numbers}"
    confusion = figures["confusion"]
    width = max(6, *(len(f"{count:,}") + 2 for row in confusion["counts"] for count in row))
    yield "    rows: true class; columns in the same order: what it is called"
    for label, row in zip(confusion["labels"], confusion["counts"], strict=True):
        yield f"    {label[:_NAME]:<{_NAME}}" + "".join(f"{count:>{width},}" for count in row)


def _estimate(figure: Json, beside: str) -> str:
    interval = "too few for an interval"
    if figure["low"] is not None:
        interval = f"95 % {_number(figure['low'])} to {_number(figure['high'])}"
    return f"{_number(figure['value'])} ({interval}{beside})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
