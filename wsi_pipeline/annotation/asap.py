"""ASAP's XML, in which CAMELYON's annotations come."""

from pathlib import Path
from xml.parsers import expat

from wsi_pipeline.annotation.shapes import Drawing, Shape, parse_points
from wsi_pipeline.errors import AnnotationError

#: ASAP's kinds of annotation that enclose something. Splines are taken by their knots.
_AREAS = frozenset({"polygon", "spline", "rectangle"})
_ROOT = "ASAP_Annotations"


def read_asap(path: Path) -> Drawing:
    """Read the areas of an XML file; coordinates are put in the order of ``Order``.

    No document type is accepted, so no entity can be declared, let alone grow.

    Raises:
        AnnotationError: it cannot be read, is no such XML, or an annotation makes no sense.
    """
    reader = _Reader(path)
    try:
        with path.open("rb") as file:
            reader.parser.ParseFile(file)
    except OSError as error:
        raise AnnotationError(path, f"cannot be read: {error.strerror or error}") from error
    except expat.ExpatError as error:
        raise AnnotationError(path, f"is no valid XML: {error}") from error
    return Drawing(tuple(reader.shapes), tuple(reader.notes))


class _Reader:
    """Collects annotations while the parser runs: the document is never held as a tree."""

    def __init__(self, path: Path) -> None:
        self.shapes: list[Shape] = []
        self.notes: list[str] = []
        self._path = path
        self._annotation: dict[str, str] | None = None
        self._points: list[tuple[float | None, str, str]] = []
        self._root: str | None = None
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise AnnotationError(
            self._path, "has a document type declaration, which ASAP never writes; it is refused"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._root is None:
            self._root = tag
            if tag != _ROOT:
                raise AnnotationError(self._path, f"is XML of {tag!r}, not {_ROOT!r}")
        if tag == "Annotation":
            self._annotation, self._points = attributes, []
        elif tag == "Coordinate" and self._annotation is not None:
            order = attributes.get("Order")
            try:
                place = None if order is None else float(order)
            except ValueError:
                raise self._wrong(f"Order {order!r} is not a number") from None
            if "X" not in attributes or "Y" not in attributes:
                raise self._wrong("a coordinate lacks X or Y")
            self._points.append((place, attributes["X"], attributes["Y"]))

    def _end(self, tag: str) -> None:
        if tag != "Annotation" or self._annotation is None:
            return
        kind = self._annotation.get("Type", "Polygon")
        if kind.casefold() in _AREAS:
            points = parse_points(
                self._path,
                self._name(),
                [(_number(x), _number(y)) for _, x, y in self._ordered()],
            )
            group = self._annotation.get("PartOfGroup", "None")
            self.shapes.append(Shape(group, self._name(), (points,)))
        else:
            self.notes.append(f"{self._name()} is a {kind}, which encloses nothing")
        self._annotation = None

    def _ordered(self) -> list[tuple[float | None, str, str]]:
        stated = [order for order, _, _ in self._points if order is not None]
        if not stated:
            return self._points
        if len(stated) < len(self._points):
            raise self._wrong("some coordinates have an Order and some have none")
        if len(set(stated)) < len(stated):
            raise self._wrong("two coordinates have the same Order")
        return sorted(self._points, key=lambda point: point[0] or 0.0)

    def _name(self) -> str:
        assert self._annotation is not None
        return f"annotation {self._annotation.get('Name', len(self.shapes))!r}"

    def _wrong(self, what: str) -> AnnotationError:
        return AnnotationError(self._path, f"{self._name()}: {what}")


def _number(text: str) -> str:
    # Some countries' systems make ASAP write 12,5.
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
