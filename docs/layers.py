"""Draws the layers of the code from its imports: ``python docs/layers.py`` writes the picture.

A part is a folder or module of ``wsi_pipeline``, or ``api``, ``workers``, ``benchmarks``. It
stands in the lowest row that is above everything it imports. Of the arrows only those are drawn
that others do not imply (the transitive reduction). A test holds the picture to the imports.
"""

import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "layers.svg"
LIBRARY = "wsi_pipeline"
OUTSIDE = ("api", "workers", "benchmarks")

_BOX_HEIGHT, _ROW, _GAP, _MARGIN, _WIDTH = 30, 64, 14, 20, 1040
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1b2a33}"
    "rect{fill:#eaf1f4;stroke:#7f9aa6}rect.outside{fill:#f6efe4;stroke:#a8967a}"
    "path{fill:none;stroke:#9db0b9}"
)

Graph = dict[str, set[str]]


def part_of(module: str) -> str:
    """The part a module belongs to: ``wsi_pipeline.slide.probe`` is of ``slide``."""
    first, _, rest = module.partition(".")
    return rest.split(".")[0] if first == LIBRARY else first


def imports() -> Graph:
    """Which parts import which others, anywhere in their modules."""
    graph: Graph = {}
    for folder in (LIBRARY, *OUTSIDE):
        for path in sorted((ROOT / folder).rglob("*.py")):
            names = path.relative_to(ROOT).with_suffix("").parts
            if folder == LIBRARY and len(names) == 2 and names[1] == "__init__":
                continue  # the package's own door, which hands on what it is asked for
            part = part_of(".".join(names))
            used = graph.setdefault(part, set())
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    found = [f"{node.module}.{alias.name}" for alias in node.names]
                elif isinstance(node, ast.Import):
                    found = [alias.name for alias in node.names]
                else:
                    continue
                used |= {part_of(name) for name in found if name.split(".")[0] in graph_roots()}
            used.discard(part)
    return graph


def graph_roots() -> set[str]:
    """Top-level packages that are ours."""
    return {LIBRARY, *OUTSIDE}


def ranks(graph: Graph) -> dict[str, int]:
    """Row of each part, 0 at the bottom: one more than the highest it imports.

    Raises:
        ValueError: parts import each other.
    """
    found: dict[str, int] = {}
    open_parts: list[str] = []

    def rank(part: str) -> int:
        if part in open_parts:
            raise ValueError(f"parts import each other: {' > '.join([*open_parts, part])}")
        if part not in found:
            open_parts.append(part)
            found[part] = 1 + max((rank(used) for used in graph[part]), default=-1)
            open_parts.pop()
        return found[part]

    for part in graph:
        rank(part)
    return found


def reduced(graph: Graph) -> Graph:
    """The graph without the arrows that longer ways imply."""

    def reach(part: str) -> set[str]:
        return graph[part].union(*(reach(used) for used in graph[part]))

    return {
        part: {
            one for one in used if not any(one in reach(other) for other in used if other != one)
        }
        for part, used in graph.items()
    }


def draw(graph: Graph) -> str:
    """The picture as SVG."""
    rows: dict[int, list[str]] = {}
    for part, row in sorted(ranks(graph).items()):
        rows.setdefault(row, []).append(part)
    arrows = reduced(graph)
    centre: dict[str, float] = {}
    boxes: list[str] = []
    top = max(rows)
    height = _MARGIN * 2 + top * _ROW + _BOX_HEIGHT
    at: dict[str, tuple[float, float]] = {}
    for row in sorted(rows):
        # Each part above the middle of what it imports, as far as its neighbours let it.
        parts = sorted(
            rows[row],
            key=lambda part: (
                sum(centre[used] for used in arrows[part]) / max(len(arrows[part]), 1),
                part,
            ),
        )
        widths = [18 + 7.6 * len(part) for part in parts]
        free = (_WIDTH - 2 * _MARGIN - sum(widths)) / (len(parts) + 1)
        x = _MARGIN + max(free, _GAP / 2)
        y = _MARGIN + (top - row) * _ROW
        for part, width in zip(parts, widths, strict=True):
            centre[part] = x + width / 2
            at[part] = (x + width / 2, y)
            kind = ' class="outside"' if part in OUTSIDE else ""
            boxes.append(
                f'<rect{kind} x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BOX_HEIGHT}" '
                f'rx="5"/><text x="{x + width / 2:.1f}" y="{y + 20}" text-anchor="middle">'
                f"{escape(part)}</text>"
            )
            x += width + max(free, _GAP)
    lines: list[str] = []
    for part, used in arrows.items():
        for other in sorted(used):
            (x1, y1), (x2, y2) = at[part], at[other]
            y1 += _BOX_HEIGHT
            middle = (y1 + y2) / 2
            lines.append(
                f'<path d="M{x1:.1f} {y1}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} '
                f'{x2:.1f} {y2}"/>'
            )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
            "<title>The layers of the code: each part imports only parts below it</title>",
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(imports()), encoding="utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}\n")
