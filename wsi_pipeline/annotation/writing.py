"""Annotations as other programs read them: QuPath's GeoJSON, and the XML of ASAP and CAMELYON."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import shapely

from wsi_pipeline.annotation.layers import DrawnArea, without_holes

#: QuPath's own class for tumour, by its name and colour there; CAMELYON's group has that name too.
_TUMOUR, _TUMOR = "tumour", "Tumor"
_TUMOR_COLOUR = (200, 0, 0)
#: What separates comments where a program has room for one text.
_BETWEEN = "\n"


def geojson_text(
    areas: Sequence[DrawnArea], colours: Mapping[str, tuple[int, int, int]] | None = None
) -> str:
    """A FeatureCollection as QuPath reads and writes it, one feature a line, in level-0 px.

    A feature's classification is its class (``tumour`` becomes QuPath's ``Tumor``), its description
    the comments. Its ``id`` depends on its class and outline only.

    Args:
        areas: What was drawn.
        colours: Of classes, red, green, blue; others get one made of their name.
    """
    features = []
    for number, area in enumerate(areas, start=1):
        name, colour = _named(area.group, colours or {})
        coordinates = [_ring(ring) for ring in (area.polygon.exterior, *area.polygon.interiors)]
        seed = json.dumps([name, coordinates])
        properties: dict[str, Any] = {
            "objectType": "annotation",
            "name": f"{name} {number}",
            "classification": {"name": name, "color": list(colour)},
            "measurements": {},
            "isLocked": False,
        }
        if area.comments:
            # QuPath shows the metadata "ANNOTATION_DESCRIPTION" as the description.
            properties["metadata"] = {"ANNOTATION_DESCRIPTION": _BETWEEN.join(area.comments)}
        features.append(
            {
                "type": "Feature",
                "id": str(uuid.UUID(bytes=hashlib.sha256(seed.encode()).digest()[:16])),
                "geometry": {"type": "Polygon", "coordinates": coordinates},
                "properties": properties,
            }
        )
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
    return f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'


def asap_text(
    areas: Sequence[DrawnArea], colours: Mapping[str, tuple[int, int, int]] | None = None
) -> str:
    """ASAP's XML, as CAMELYON's annotations are written, in level-0 px.

    A class is a group. ASAP has no holes: an area with holes is cut into pieces without.

    Args:
        areas: As for :func:`geojson_text`.
        colours: Likewise.
    """
    annotations: list[str] = []
    groups: dict[str, str] = {}
    for area in areas:
        name, colour = _named(area.group, colours or {})
        groups[name] = "#{:02x}{:02x}{:02x}".format(*colour)
        for piece in without_holes(area.polygon):
            points = "".join(
                f'\t\t\t\t<Coordinate Order="{order}" X="{x}" Y="{y}" />\n'
                for order, (x, y) in enumerate(_ring(piece.exterior)[:-1])
            )
            annotations.append(
                f'\t\t<Annotation Name="Annotation {len(annotations)}" Type="Polygon" '
                f'PartOfGroup={quoteattr(name)} Color="{groups[name]}">\n'
                f"\t\t\t<Coordinates>\n{points}\t\t\t</Coordinates>\n\t\t</Annotation>\n"
            )
    listed = "".join(
        f'\t\t<Group Name={quoteattr(name)} PartOfGroup="None" Color="{colour}">\n'
        "\t\t\t<Attributes />\n\t\t</Group>\n"
        for name, colour in groups.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ASAP_Annotations>\n'
        f"\t<Annotations>\n{''.join(annotations)}\t</Annotations>\n"
        f"\t<AnnotationGroups>\n{listed}\t</AnnotationGroups>\n</ASAP_Annotations>\n"
    )


def _named(
    group: str, colours: Mapping[str, tuple[int, int, int]]
) -> tuple[str, tuple[int, int, int]]:
    if group == _TUMOUR:
        return _TUMOR, _TUMOR_COLOUR
    if group in colours:
        return group, colours[group]
    red, green, blue = hashlib.sha256(group.encode()).digest()[:3]
    return group, (red, green, blue)


def _ring(ring: shapely.LinearRing) -> list[list[float]]:
    """Closed: the last point is the first. Thousandths of a px are kept."""
    points: Iterable[tuple[float, float]] = shapely.get_coordinates(ring).tolist()
    return [[_number(x), _number(y)] for x, y in points]


def _number(value: float) -> float:
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
