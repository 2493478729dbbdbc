"""What the report says of fitted answers for whole slides."""

from wsi_pipeline.page.chart import unit_chart
from wsi_pipeline.page.markup import (
    NOTHING,
    Json,
    estimate_cell,
    number_cell,
    panel,
    row,
    table,
    tag,
    text,
)
from wsi_pipeline.page.matrix import matrix_panel
from wsi_pipeline.stitch.slide_answer_record import STATE_WORDS


def fitted_part(fitted: Json | None, positive: str) -> str:
    """The largest cell beside it, calibration, states and classes; empty without a fit."""
    if fitted is None:
        return ""
    parts = [
        _beside(fitted),
        panel("Calibration of slides", _diagram(fitted["calibration"]["reliability"])),
        panel("States", _states(fitted["states"], positive), _bounds(fitted["states"])),
    ]
    if fitted["classes"] is not None:
        classes = fitted["classes"]
        caption = f"{classes['slides']} slides; accuracy {classes['accuracy']:.3f}."
        parts.append(
            matrix_panel("Classes of slides", classes["labels"], classes["confusion"], caption)
        )
    return tag("div", "".join(parts), cls="pair")


def _beside(fitted: Json) -> str:
    """Figures beside those of the largest cell, which results of an encoder do not have."""
    largest, difference = fitted["auc_max"], fitted["auc_difference"]
    figures = {
        "Brier score": fitted["calibration"]["brier"],
        "expected calibration error": fitted["calibration"]["expected_calibration_error"],
    }
    note = "The model has no classes, so there is no largest cell to compare with."
    if difference is not None:
        figures = {"AUC of the largest cell": largest, "fitted less largest": difference} | figures
        p = difference["delong_p"]
        note = f"DeLong's test of the difference: p = {NOTHING if p is None else f'{p:.2g}'}."
    rows = [
        row(tag("th", text(words), scope="row"), estimate_cell(figure))
        for words, figure in figures.items()
    ]
    return panel("Beside the largest cell", table(["figure", "|value"], rows), text(note))


def _diagram(bins: Json) -> str:
    chart = unit_chart(
        x_label="probability",
        y_label="share of positive slides",
        label="Reliability diagram of slides",
    )
    for x, y, count in zip(bins["probability"], bins["frequency"], bins["slides"], strict=True):
        chart.point(x, y, "s1", f"{count} slides: probability {x:.2f}, {y:.2f} positive")
    return chart.svg()


def _states(states: Json, positive: str) -> str:
    rows = [
        row(
            tag("th", text(words), scope="row"),
            number_cell(str(states["counts"][state]["positive"])),
            number_cell(str(states["counts"][state]["negative"])),
        )
        for state, words in STATE_WORDS.items()
    ]
    return table(["state", f"|with {positive}", "|without"], rows)


def _bounds(states: Json) -> str:
    lines = []
    for name, words in (
        ("missed_among_clear", "Positive among the clear ones"),
        ("false_among_suspicious", "Negative among the suspicious ones"),
    ):
        one = states[name]
        if one["value"] is None:
            lines.append(f"{words}: none was called so.")
            continue
        stated = "" if one["stated"] is None else f"; stated: at most {100 * one['stated']:g} %"
        lines.append(
            f"{words}: {one['wrong']} of {one['slides']} ({100 * one['value']:.3g} %, at most "
            f"{100 * one['bound']:.3g} % with {100 * one['confidence']:g} % confidence{stated})."
        )
    return text(" ".join(lines))
