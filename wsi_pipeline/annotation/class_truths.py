"""The truth of several classes that one file holds: outlines by group, or a mask of numbers."""

from collections.abc import Sequence, Set
from pathlib import Path

from wsi_pipeline.annotation.groups import TUMOUR, base_names
from wsi_pipeline.annotation.mask import MaskTruth
from wsi_pipeline.annotation.mask_file import open_mask
from wsi_pipeline.annotation.opening import READERS, open_truth
from wsi_pipeline.annotation.outline import OutlineTruth
from wsi_pipeline.annotation.shapes import Drawing, Shape, check_inside, union_of
from wsi_pipeline.annotation.truth import Truth, TruthKind
from wsi_pipeline.geometry import Size


def open_class_truths(
    path: Path,
    kind: TruthKind,
    size: Size | None,
    classes: Sequence[str],
    *,
    tumour: Sequence[str] = (),
) -> dict[str, Truth]:
    """Open what an annotation or a mask says of classes, by their names.

    A class is told by its name, or by the first part of a QuPath class (``Necrosis: Old``);
    capitals do not matter. Tumour is what :func:`~wsi_pipeline.annotation.open_truth` takes for
    it, with exclusions cut out; of the other classes nothing is cut out. A mask of one value is of
    tumour alone.

    Args:
        path: The file.
        kind: Its format.
        size: The slide's level 0, px; where it is given, the truth must lie on it.
        classes: Names of the classes that are asked for.
        tumour: Groups or classes that are tumour; empty: the usual names.

    Returns:
        The truth of each class that the file knows; the others are not in it.

    Raises:
        AnnotationError: it cannot be read, or does not lie on the slide.
        UsageError: there is no such kind.
    """
    if kind == "mask-classes":
        names = [one.casefold() for one in open_mask(path).classes]
        return {
            name: MaskTruth(path, kind, size, value=names.index(name.casefold()))
            for name in classes
            if name.casefold() in names
        }
    found: dict[str, Truth] = {}
    known = next((name for name in classes if is_tumour(name)), None)
    if kind not in READERS:
        return {} if known is None else {known: open_truth(path, kind, size, tumour=tumour)}
    drawing = READERS[kind](path)
    for name in classes:
        if name == known:
            if tumour or _shapes(drawing, TUMOUR):
                found[name] = open_truth(path, kind, size, tumour=tumour)
            continue
        shapes = _shapes(drawing, {name.casefold()})
        if not shapes:
            continue
        truth = OutlineTruth(kind, union_of(shapes))
        if size is not None and truth.bounds is not None:
            check_inside(path, truth.bounds, size.width, size.height)
        found[name] = truth
    return found


def is_tumour(name: str) -> bool:
    """Whether a class is called as tumour usually is."""
    return name.casefold() in TUMOUR


def _shapes(drawing: Drawing, names: Set[str]) -> tuple[Shape, ...]:
    return tuple(one for one in drawing.shapes if names & set(base_names(one.group)))
