"""Quality of many slides: the table as CSV and JSON, and a contact sheet as one HTML page."""

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsi_pipeline import durable
from wsi_pipeline.page.document import document
from wsi_pipeline.page.markup import counted, tag, text
from wsi_pipeline.quality.reasons import FACTS
from wsi_pipeline.quality.survey import SlideQuality

#: Names of the files.
TABLE, JSON_TABLE, SHEET = "quality.csv", "quality.json", "quality.html"
_COLUMNS = (
    "slide", "verdict", "reason", "mpp", "width", "height", "tiles", "tissue_mm2", "marked",
)  # fmt: skip
_WORST_FIRST = ("failed", "poor", "unknown", "look", "no tissue", "good")
_STYLE = """
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.sheet figure { margin: 0; border: 1px solid #8886; border-radius: 6px; overflow: hidden; }
.sheet img { width: 100%; height: 14rem; object-fit: contain; background: #f4f2f4; display: block; }
.sheet figcaption { padding: .5rem .75rem; font-size: .85rem; overflow-wrap: anywhere; }
.sheet .poor, .sheet .failed { border-color: #b3261e; }
.key i { display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 1em; }
"""


def write_tables(out: Path, rows: Sequence[SlideQuality]) -> None:
    """Write ``quality.csv`` and ``quality.json``, sorted by slide; each is whole at any time."""
    ordered = sorted(rows, key=lambda row: row.slide)
    keys = [facts.key for facts in FACTS.values()]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([*_COLUMNS, *keys, "focus", "notes"])
    for row in ordered:
        shares = [row.shares.get(key, "") for key in keys]
        told = [getattr(row, name) for name in _COLUMNS]
        writer.writerow([*told, *shares, row.focus, "; ".join(row.notes)])
    durable.write_text(out / TABLE, stream.getvalue())
    slides = [row.to_json() for row in ordered]
    durable.write_text(out / JSON_TABLE, json.dumps({"slides": slides}, indent=1) + "\n")


def write_sheet(out: Path, rows: Sequence[SlideQuality], pictures: Mapping[str, bytes]) -> None:
    """Write ``quality.html``: every slide's picture with its marks, the worst first.

    Args:
        out: The folder.
        rows: The slides.
        pictures: JPEG of a slide with its marks, by ``slide``.
    """
    ordered = sorted(
        rows, key=lambda row: (_WORST_FIRST.index(row.verdict), -(row.marked or 0), row.slide)
    )
    key = "".join(
        tag("i", "", style=f"background:rgb{facts.rgb}") + text(facts.text)
        for facts in FACTS.values()
    )
    counts = ", ".join(
        f"{sum(row.verdict == verdict for row in rows)} {verdict}"
        for verdict in _WORST_FIRST
        if any(row.verdict == verdict for row in rows)
    )
    body = (
        f"<style>{_STYLE}</style>"
        + tag("h1", "Quality of the slides")
        + tag("p", f"{counted(len(rows), 'slide')}: {text(counts)}. Coloured tiles are marked.")
        + tag("p", key, cls="key")
        + tag("div", "".join(_figure(row, pictures.get(row.slide)) for row in ordered), cls="sheet")
    )
    durable.write_text(out / SHEET, document("Quality of the slides", body))


def _figure(row: SlideQuality, picture: bytes | None) -> str:
    name = Path(row.slide).name
    shown = ""
    if picture is not None:
        data = base64.b64encode(picture).decode()
        shown = f'<img alt="{text(name)} with its marks" src="data:image/jpeg;base64,{data}">'
    return tag(
        "figure",
        shown + tag("figcaption", tag("b", text(name)) + "<br>" + text(_words(row))),
        cls=row.verdict.replace(" ", "-"),
    )


def _words(row: SlideQuality) -> str:
    if row.verdict == "failed":
        return f"failed: {row.reason}"
    faults = ", ".join(
        f"{facts.text} {row.shares[facts.key]:.1%}"
        for facts in FACTS.values()
        if row.shares.get(facts.key)
    )
    tissue = f"{row.tissue_mm2:.3g} mm² of tissue" if row.tissue_mm2 else ""
    marked = f"{row.marked:.1%} marked" if row.tiles else ""
    parts = (row.verdict, tissue, marked, faults, *row.notes)
    return "; ".join(part for part in parts if part)
