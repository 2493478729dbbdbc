"""Annotations for tests, written out as ASAP does."""

from collections.abc import Sequence
from pathlib import Path

#: Level-0 px; texts and nonsense are allowed, to see them refused.
AnyPoints = Sequence[tuple[object, object]]


def square(x: float, y: float, side: float = 10) -> list[tuple[object, object]]:
    """The corners of a square, level-0 px."""
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def asap_annotation(
    points: AnyPoints,
    group: str = "Tumor",
    kind: str = "Polygon",
    orders: Sequence[object] | None = None,
) -> str:
    """One annotation.

    Args:
        points: In the file's order.
        group: Group it is part of.
        kind: ASAP's type.
        orders: ``Order`` of each point; None: as they come.
    """
    coordinates = "".join(
        f'<Coordinate Order="{order}" X="{x}" Y="{y}"/>'
        for order, (x, y) in zip(orders or range(len(points)), points, strict=True)
    )
    return (
        f'<Annotation Name="one" Type="{kind}" PartOfGroup="{group}">'
        f"<Coordinates>{coordinates}</Coordinates></Annotation>"
    )


def asap_xml(*annotations: str) -> str:
    """A file of annotations."""
    inside = "".join(annotations)
    return f"<ASAP_Annotations><Annotations>{inside}</Annotations></ASAP_Annotations>"


def write_asap(path: Path, *tumours: AnyPoints) -> Path:
    """Write a file of tumour polygons; without any, one that says there is none."""
    path.write_text(asap_xml(*(asap_annotation(one) for one in tumours)), encoding="utf-8")
    return path
