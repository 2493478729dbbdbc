"""A confusion matrix as a table, shaded by the share of each true class."""

from collections.abc import Mapping, Sequence

from wsi_pipeline.page.markup import class_name, panel, tag


def matrix_panel(
    title: str,
    names: Sequence[str],
    counts: Sequence[Sequence[int]],
    note: str,
    colours: Mapping[str, str] | None = None,
) -> str:
    """A square confusion matrix: rows are the truth; ``colours`` are those of some names."""
    shown = {name: class_name(name, (colours or {}).get(name)) for name in names}
    heads = "".join(tag("th", shown[name], scope="col") for name in names)
    rows = []
    for name, line in zip(names, counts, strict=True):
        total = sum(line)
        cells = "".join(
            f'<td class="cell {"right" if names[place] == name else "wrong"}" '
            f'style="--share:{count / total if total else 0:.3f}"><b>{count}</b></td>'
            for place, count in enumerate(line)
        )
        rows.append(tag("tr", tag("th", shown[name], scope="row") + cells))
    corner = tag("td", "truth ↓ model →", cls="corner")
    whole = tag("tr", corner + heads) + "".join(rows)
    return panel(title, tag("table", whole, cls="confusion"), note)
