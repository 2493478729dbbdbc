"""The page of a comparison of two models."""

from wsi_pipeline.page.chart import unit_chart
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import (
    NOTHING,
    Json,
    chips,
    counted,
    estimate_cell,
    number_cell,
    panel,
    row,
    section,
    table,
    tag,
    text,
)
from wsi_pipeline.page.report import footer, header

_TITLE = "Two models on the same slides"


def comparison_page(comparison: Json) -> str:
    """Write the page.

    Args:
        comparison: As :func:`~wsi_pipeline.evaluation.comparison.compare` gives it.
    """
    body = [_header(comparison), _figures(comparison), _scores(comparison)]
    body.append(footer(notice=comparison["notice"]))
    return document(_TITLE, "".join(body))


def _header(comparison: Json) -> str:
    facts = [
        f"{key.upper()}: {about['results']}: {', '.join(about['models'])}; score: "
        f"{', '.join(about['score'])}"
        for key, about in comparison["models"].items()
    ]
    facts.append(
        f"{counted(len(comparison['slides']), 'slide')} that both have, of "
        f"{counted(comparison['patients'], 'patient')}; split {comparison['split']}"
    )
    warnings = []
    for key in ("a", "b"):
        if comparison["only"][key]:
            names = ", ".join(comparison["only"][key])
            warnings.append(f"Only in {key.upper()}, so not compared: {names}.")
        warnings += [
            f"{key.upper()}: {name}: {why}" for name, why in comparison["failed"][key].items()
        ]
    if comparison["only"]["neither"]:
        warnings.append(f"In neither: {', '.join(comparison['only']['neither'])}.")
    return header(_TITLE, facts, warnings=warnings, notice=comparison["notice"])


def _figures(comparison: Json) -> str:
    rows = []
    for one in comparison["figures"]:
        difference, p = one["difference"], one["p"]
        interval = NOTHING
        if difference["value"] is not None:
            interval = f"{difference['value']:+.3f}"
        if difference["low"] is not None:
            interval += f" ({difference['low']:+.3f} to {difference['high']:+.3f})"
        rows.append(
            row(
                tag("th", text(one["title"]), scope="row"),
                estimate_cell(one["a"]),
                estimate_cell(one["b"]),
                number_cell(text(interval)),
                number_cell(NOTHING if p is None else f"{p:.2g}"),
                text(one["test"]),
            )
        )
    heads = ["figure", "|A", "|B", "|B less A", "|p", "test"]
    lead = (
        "With 95 % intervals. In the bootstrap both models get the same drawn patients. Several "
        "tests are made: a small p among many is weaker evidence than it looks."
    )
    return section("figures", "Figures", text(lead), table(heads, rows))


def _scores(comparison: Json) -> str:
    chart = unit_chart(
        x_label="score by A",
        y_label="score by B",
        label="Scores of each slide by both models",
    )
    for one in comparison["scores"]:
        if one["a"] is None or one["b"] is None:
            continue
        style = "s1" if one["label"] in (None, "normal") else "s6"
        chart.point(one["a"], one["b"], style, f"{one['slide']}: {one['a']:.3f} and {one['b']:.3f}")
    legend = chips([("s1", "normal"), ("s6", "positive")])
    drawn = tag("div", panel("Scores", chart.svg(), legend), style="max-width: 560px")
    return section(
        "scores", "Slides", "Each point is a slide; its name shows when pointed at.", drawn
    )
