"""Words, numbers and tables as HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

Json = dict[str, Any]

NOTHING = "–"


def text(value: object) -> str:
    """Anything, safe inside HTML."""
    return escape(str(value), quote=True)


def counted(count: int, what: str, several: str = "") -> str:
    """``1 slide``, ``2 slides``; ``several`` where the plural is another word."""
    return f"{count:,} {what if count == 1 else several or what + 's'}"


def class_name(name: str, colour: str | None) -> str:
    """A class with a square of its colour, if it has one."""
    square = "" if colour is None else tag("i", "", cls="swatch", style=f"background:{colour}")
    return square + text(name)


def tag(name: str, inner: str, **attributes: str) -> str:
    """An element; ``cls`` is its class. ``inner`` is HTML already."""
    written = "".join(
        f' {"class" if key == "cls" else key}="{text(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{written}>{inner}</{name}>"


def figure_text(value: float | None, digits: int = 3) -> str:
    """A number with fixed decimals; a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def interval_text(estimate: Json | None, digits: int = 3) -> str:
    """``0.94 (0.90–0.97)``; only the value where there is no interval."""
    if estimate is None or estimate["value"] is None:
        return NOTHING
    value = figure_text(estimate["value"], digits)
    if estimate["low"] is None:
        return value
    return (
        f"{value} ({figure_text(estimate['low'], digits)}–{figure_text(estimate['high'], digits)})"
    )


def share_text(estimate: Json | None) -> str:
    """A share as a percentage with its interval."""
    if estimate is None or estimate["value"] is None:
        return NOTHING
    value = f"{100 * estimate['value']:.1f} %"
    if estimate["low"] is None:
        return value
    return f"{value} ({100 * estimate['low']:.1f}–{100 * estimate['high']:.1f})"


def mini_interval(estimate: Json | None) -> str:
    """An interval as a bar on a line from 0 to 1."""
    if estimate is None or estimate["value"] is None:
        return ""
    low = estimate["value"] if estimate["low"] is None else estimate["low"]
    high = estimate["value"] if estimate["high"] is None else estimate["high"]
    x, left, width = 100 * estimate["value"], 100 * low, max(100 * (high - low), 0.8)
    return (
        '<svg class="mini" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" x="0" y="3.4" width="100" height="1.2"/>'
        f'<rect class="span" x="{left:.2f}" y="2" width="{width:.2f}" height="4"/>'
        f'<rect class="mark" x="{min(max(x - 0.7, 0), 98.6):.2f}" y="0" width="1.4" height="8"/>'
        "</svg>"
    )


def estimate_cell(estimate: Json | None) -> str:
    """A table cell with value, interval and the bar of it."""
    if estimate is None or estimate["value"] is None:
        return tag("td", NOTHING, cls="number none")
    interval = ""
    if estimate["low"] is not None:
        low, high = figure_text(estimate["low"]), figure_text(estimate["high"])
        interval = tag("span", f"{low}–{high}", cls="interval")
    value = tag("span", figure_text(estimate["value"]), cls="value")
    return tag("td", value + interval + mini_interval(estimate), cls="number")


def table(heads: Sequence[str], rows: Iterable[str], *, cls: str = "") -> str:
    """A table of ready rows; the heads are plain words, ``|`` before one aligns it to the right."""
    cells = "".join(
        tag("th", text(head.removeprefix("|")), cls="number", scope="col")
        if head.startswith("|")
        else tag("th", text(head), scope="col")
        for head in heads
    )
    whole = tag("thead", tag("tr", cells)) + tag("tbody", "".join(rows))
    return tag("div", tag("table", whole, cls=cls), cls="scroll")


def row(*cells: str, cls: str = "") -> str:
    """A table row; cells that are no elements yet become ones."""
    made = "".join(cell if cell.startswith("<t") else tag("td", cell) for cell in cells)
    return tag("tr", made, cls=cls) if cls else tag("tr", made)


def number_cell(words: str) -> str:
    """A cell aligned to the right."""
    return tag("td", words, cls="number")


def panel(title: str, picture: str, caption: str = "") -> str:
    """A chart with its title and caption."""
    inner = tag("h3", text(title)) + picture
    if caption:
        inner += tag("figcaption", caption)
    return tag("figure", inner, cls="panel")


def chips(entries: Iterable[tuple[str, str]]) -> str:
    """A legend: class of the swatch, and words that are HTML already."""
    items = (
        tag("span", tag("i", "", cls=f"swatch {colour}") + words, cls="chip")
        for colour, words in entries
    )
    return tag("div", "".join(items), cls="chips")


def section(name: str, title: str, lead: str, *parts: str) -> str:
    """A section of the page; empty if it has no parts."""
    inner = "".join(parts)
    if not inner:
        return ""
    return tag("section", tag("h2", text(title)) + tag("p", lead, cls="lead") + inner, id=name)
