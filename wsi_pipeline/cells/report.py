"""The page of a run: counts, the differential, agreement with drawn boxes, every field drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.cells.differential import Share
from wsi_pipeline.cells.drawing import KIND_COLOURS
from wsi_pipeline.cells.fields import FieldRecord
from wsi_pipeline.cells.finder import KINDS
from wsi_pipeline.page.document import data_uri, document
from wsi_pipeline.page.markup import (
    class_name,
    counted,
    estimate_cell,
    number_cell,
    row,
    section,
    share_text,
    table,
    tag,
    text,
)
from wsi_pipeline.page.report import footer, header, method_section

Json = dict[str, Any]
_WORDS = {"WBC": "white cells", "RBC": "red cells", "Platelets": "platelets"}


def report_page(
    summary: Json,
    fields: Sequence[FieldRecord],
    shares: Sequence[Share],
    previews: Sequence[NDArray[np.uint8] | None],
) -> str:
    """Write the page as one HTML document that needs nothing but itself.

    Args:
        summary: The contents of ``summary.json``.
        fields: That were analysed.
        shares: The differential; empty without a model.
        previews: Each field drawn, in their order; None where the page leaves it out.
    """
    body = [
        _header(summary, fields),
        "".join(tag("p", text(words), cls="warning") for words in _warnings(summary)),
        _counts(fields),
        _differential(shares),
        _agreement(summary["truth"]),
        _fields(fields, previews),
        _method(summary),
        footer(summary["program"]),
    ]
    return document("Cells of smear fields", "".join(body))


def _header(summary: Json, fields: Sequence[FieldRecord]) -> str:
    facts = [counted(len(fields), "field")]
    model = summary["model"]
    if model is not None:
        facts.append(
            f"white cells classified by {model['name']} {model['version']}: "
            f"{', '.join(model['classes'])}"
        )
    else:
        facts.append("no model: cells are found and not classified")
    return header("Cells of smear fields", facts)


def _warnings(summary: Json) -> list[str]:
    told = [f"Left out: {reason}" for reason in summary["failed"]]
    model = summary["model"]
    if model is not None:
        if model["notice"]:
            told.append(f"The model: {model['notice'].rstrip('.')}.")
        if not model["made_for_images"]:
            told.append(
                "The model was made for patches of slides. Cut-outs of cells are padded to its "
                "square, whatever their resolution."
            )
        if summary["review"] is None:
            told.append("The package makes no prediction sets: no cell is marked for review.")
    return told


def _counts(fields: Sequence[FieldRecord]) -> str:
    rows = []
    for kind in KINDS:
        cells = [cell for one in fields for cell in one.cells if cell.kind == kind]
        name = class_name(_WORDS[kind], "#{:02x}{:02x}{:02x}".format(*KIND_COLOURS[kind]))
        cut = sum(cell.cut for cell in cells)
        per_field = f"{len(cells) / len(fields):.1f}" if fields else "–"
        cells_of = (f"{len(cells):,}", f"{cut:,}", per_field)
        rows.append(row(tag("th", name, scope="row"), *map(number_cell, cells_of)))
    return section(
        "counts",
        "Cells found",
        "How many cells of each kind were found, and how many of them the border of a field cuts.",
        table(["kind", "|cells", "|cut by the border", "|per field"], rows),
    )


def _differential(shares: Sequence[Share]) -> str:
    rows = [
        row(
            tag("th", text(one.label), scope="row"),
            number_cell(f"{one.count:,}"),
            number_cell(share_text({"value": one.share, "low": one.low, "high": one.high})),
        )
        for one in shares
        if not one.field
    ]
    if not rows:
        return ""
    total = next(one.total for one in shares)
    lead = (
        f"Share of each kind among the {counted(total, 'white cell')} of all fields, with the 95 % "
        "interval of Wilson. The interval is of chance in which cells were in the fields; what the "
        "model gets wrong is not in it."
    )
    return section(
        "differential", "Differential", lead, table(["kind", "|cells", "|share (95 %)"], rows)
    )


def _agreement(truth: Json | None) -> str:
    if truth is None:
        return ""
    rows = [
        row(
            tag("th", text(_WORDS[one["kind"]]), scope="row"),
            *(number_cell(f"{one[name]:,}") for name in ("drawn", "found", "matched")),
            estimate_cell(one["precision"]),
            estimate_cell(one["recall"]),
        )
        for one in truth["kinds"]
    ]
    lead = (
        f"{counted(truth['fields'], 'field')} of {truth['table']}. A found box is right where it "
        "covers a drawn one with an intersection over union of at least 0.5, each box once. Cells "
        "that nobody drew count as wrong ones."
    )
    if truth["left_out"]:
        lead += f" Without drawn boxes, so left out: {', '.join(truth['left_out'])}."
    heads = ["kind", "|drawn", "|found", "|matched", "|precision", "|recall"]
    return section("truth", "Agreement with drawn boxes", text(lead), table(heads, rows))


def _fields(fields: Sequence[FieldRecord], previews: Sequence[NDArray[np.uint8] | None]) -> str:
    figures = []
    for one, preview in zip(fields, previews, strict=True):
        counts = ", ".join(f"{one.count(kind):,} {_WORDS[kind]}" for kind in KINDS)
        caption = f"{one.name}: {counts}"
        if one.warnings:
            caption += f". {'; '.join(one.warnings)}"
        if preview is not None:
            picture = tag("img", "", src=data_uri(preview), alt=one.name, loading="lazy")
            inner = picture.replace("></img>", ">") + tag("figcaption", text(caption))
            figures.append(tag("figure", inner, cls="panel"))
    missing = sum(preview is None for preview in previews)
    lead = "Boxes as above; a question mark means that a person has to look again."
    if missing:
        lead += f" {counted(missing, 'more field')}: see the PNG files in the folder fields."
    return section("fields", "Fields", text(lead), tag("div", "".join(figures), cls="pair beside"))


def _method(summary: Json) -> str:
    items = {
        "Finder": f"{summary['finder']['finder']}: glass, haemoglobin and azure are told apart by "
        "optical densities (Ruifrok and Johnston 2001); white cells by their nuclei; red cells by "
        "votes of their outlines, and by a watershed where they show none. All limits are shares "
        "of the field's usual red cell. Platelets that lie on red cells are not counted.",
        "Intervals": "of the differential: Wilson 1927. Of precision and recall: percentile "
        "bootstrap over fields.",
        "Measurements": "are shapes that were measured (cells.csv), not reasons of a decision.",
    }
    lead = "Every cell is in cells.csv, every number of this page in summary.json."
    return method_section(items, lead, "How this was made")
