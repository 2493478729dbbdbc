"""NCRF's JSON: two lists of polygons, tumour and what is cut out of it."""

from pathlib import Path
from typing import Any

from wsi_pipeline.annotation.json_file import read_json
from wsi_pipeline.annotation.shapes import Drawing, Shape, parse_points
from wsi_pipeline.errors import AnnotationError

#: The file's lists and the groups they stand for.
_LISTS = {"positive": "Tumor", "negative": "Exclusion"}


def looks_like_ncrf(value: object) -> bool:
    """Whether a JSON value is of this form."""
    return isinstance(value, dict) and "positive" in value and "type" not in value


def read_ncrf(path: Path) -> Drawing:
    """Read the polygons, ``vertices`` in level-0 px.

    Raises:
        AnnotationError: it cannot be read, or is of another form.
    """
    value = read_json(path)
    if not looks_like_ncrf(value):
        raise AnnotationError(path, "is not NCRF's JSON: it has no list 'positive'")
    return Drawing(
        tuple(
            _shape(path, number, group, item)
            for key, group in _LISTS.items()
            for number, item in enumerate(_list(path, key, value.get(key, [])))
        )
    )


def _list(path: Path, key: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise AnnotationError(path, f"{key!r} is no list")
    return value


def _shape(path: Path, number: int, group: str, item: object) -> Shape:
    if not isinstance(item, dict) or not isinstance(item.get("vertices"), list):
        raise AnnotationError(path, f"polygon {number} has no 'vertices'")
    name = f"polygon {item.get('name', number)!r}"
    return Shape(group, name, (parse_points(path, name, item["vertices"]),))
