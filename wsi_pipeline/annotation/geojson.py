"""GeoJSON as QuPath and others write it: RFC 7946's geometries, in level-0 px."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsi_pipeline.annotation.json_file import read_json
from wsi_pipeline.annotation.shapes import Drawing, Shape, parse_points
from wsi_pipeline.errors import AnnotationError

_BARE = frozenset({"Point", "MultiPoint", "LineString", "MultiLineString"})


def read_geojson(path: Path) -> Drawing:
    """Read the areas of a geometry, a feature, a collection of either, or a list of features.

    A feature's group is its QuPath classification. Points and lines enclose nothing and are
    left out, with a note.

    Raises:
        AnnotationError: it cannot be read, is no GeoJSON, or holds a model's findings.
    """
    value = read_json(path)
    if isinstance(value, dict) and "wsi_pipeline" in value:
        raise AnnotationError(path, "holds findings of a model (`wsi export`), not an annotation")
    shapes: list[Shape] = []
    bare = 0
    for number, (geometry, properties) in enumerate(_features(path, value)):
        name = f"feature {properties.get('name') or number!r}"
        for part in _geometries(path, name, geometry):
            if part["type"] in _BARE:
                bare += 1
            else:
                group = _group(properties)
                shapes += [Shape(group, name, rings) for rings in _polygons(path, name, part)]
    notes = (f"{bare} points and lines, which enclose nothing",) if bare else ()
    return Drawing(tuple(shapes), notes)


def _features(path: Path, value: object) -> Iterator[tuple[Any, dict[str, Any]]]:
    if isinstance(value, list):
        for item in value:
            yield from _features(path, item)
        return
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise AnnotationError(path, "is no GeoJSON: something in it has no 'type'")
    if value["type"] == "FeatureCollection":
        yield from _features(path, _items(path, value, "features"))
    elif value["type"] == "Feature":
        properties = value.get("properties")
        yield value.get("geometry"), properties if isinstance(properties, dict) else {}
    else:
        yield value, {}


def _geometries(path: Path, name: str, geometry: object) -> Iterator[dict[str, Any]]:
    if geometry is None:
        return  # RFC 7946: an unlocated feature
    if not isinstance(geometry, dict):
        raise AnnotationError(path, f"{name} has no geometry")
    if geometry.get("type") == "GeometryCollection":
        for part in _items(path, geometry, "geometries"):
            yield from _geometries(path, name, part)
    elif geometry.get("type") in _BARE | {"Polygon", "MultiPolygon"}:
        yield geometry
    else:
        raise AnnotationError(path, f"{name} has a geometry of type {geometry.get('type')!r}")


def _polygons(path: Path, name: str, geometry: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    listed = _items(path, geometry, "coordinates")
    for polygon in listed if geometry["type"] == "MultiPolygon" else [listed]:
        if not isinstance(polygon, list) or not all(isinstance(ring, list) for ring in polygon):
            raise AnnotationError(path, f"{name}: its coordinates are not lists of rings")
        if polygon:
            yield tuple(parse_points(path, name, ring) for ring in polygon)


def _items(path: Path, value: dict[str, Any], key: str) -> list[Any]:
    items = value.get(key)
    if not isinstance(items, list):
        raise AnnotationError(path, f"a {value['type']} has no list {key!r}")
    return items


def _group(properties: dict[str, Any]) -> str:
    """QuPath's class: ``{"name": …}``, ``{"names": […]}`` of derived ones, or plain text."""
    stated = properties.get("classification")
    if isinstance(stated, dict):
        names = stated.get("names")
        if isinstance(names, list) and names:
            return ": ".join(str(name) for name in names)
        stated = stated.get("name")
    return "" if stated is None else str(stated)
