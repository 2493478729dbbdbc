"""Finding slides, masks and annotations in folders."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.parsers import expat

from wsi_pipeline.annotation.json_file import read_json
from wsi_pipeline.annotation.mask_file import open_mask
from wsi_pipeline.annotation.ncrf import looks_like_ncrf
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.cohort.references import plain_name
from wsi_pipeline.errors import AnnotationError, CohortError
from wsi_pipeline.slide.files import DICOM_SUFFIXES, SLIDE_SUFFIXES, dicom_series
from wsi_pipeline.slide.integrity import is_dicom

MASK_KINDS: tuple[TruthKind, ...] = ("mask-255", "mask-2", "mask-1")
FoundKind = Literal["slide", "mask", "asap", "geojson", "ncrf"]

#: ``tumor_001_mask.tif``; in folders of masks, also plain ``tumor_001.tif``.
_MASK_ENDING = re.compile(r"[_-]mask$", re.IGNORECASE)
_MASK_FOLDERS = frozenset({"mask", "masks"})
#: Pictures of slides that are no slides: masks of results, CAMELYON16's of tissue, and masks of
#: several classes, of which none says which class is meant.
_NO_SLIDE = re.compile(
    r"(\.mask|[_-]tissue|[_-]tissue[_-]mask|[_-]classes[_-]mask)$", re.IGNORECASE
)
_RESULT = ".zarr"
#: CAMELYON16's folder of masks of tissue, which are no slides whatever they are called.
_NO_SLIDES_IN = frozenset({"background_tissue"})
_GEOMETRIES = frozenset(
    {"FeatureCollection", "Feature", "Polygon", "MultiPolygon", "GeometryCollection"}
)


@dataclass(frozen=True, slots=True)
class Found:
    """One file (or folder of DICOM files) and what it is.

    Attributes:
        path: Where it is.
        kind: What it is.
        name: Of the slide it is, or belongs to.
    """

    path: Path
    kind: FoundKind
    name: str

    @property
    def key(self) -> str:
        """The name without capitals: what is paired by."""
        return self.name.casefold()


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Attributes:
        files: In the order of their paths.
        ignored: Files that are neither slides nor truth, with the reason where one is worth it.
    """

    files: tuple[Found, ...]
    ignored: tuple[tuple[Path, str], ...]


def search(folder: Path, *, masks: Sequence[Path] = (), annotations: Sequence[Path] = ()) -> Search:
    """Look through a folder and all below it.

    Args:
        folder: Where slides are, and perhaps all the rest.
        masks: Further folders; every TIFF there is a mask.
        annotations: Further folders; no TIFF there is a slide.

    Raises:
        CohortError: a folder is not there.
    """
    files: dict[Path, Found] = {}
    ignored: dict[Path, str] = {}
    # Folders named for masks first: what lies there is a mask, also below the main folder.
    for root, only in [*((one, "mask") for one in masks), *((one, "") for one in annotations)]:
        _check_folder(root)
        for found in _walk(root, ignored, masks_only=only == "mask"):
            if only == "mask" or found.kind not in ("slide", "mask"):
                files.setdefault(found.path.resolve(), found)
    _check_folder(folder)
    for found in _walk(folder, ignored, masks_only=False):
        files.setdefault(found.path.resolve(), found)
    ordered = sorted(files.values(), key=lambda found: str(found.path))
    return Search(tuple(ordered), tuple(sorted(ignored.items())))


def truth_kind(path: Path) -> TruthKind:
    """The kind of a single file of truth; a mask's only where the mask itself says its value.

    Raises:
        AnnotationError: it is none, or a mask that does not say which value is tumour.
    """
    if path.suffix.lower() in SLIDE_SUFFIXES:
        value = (open_mask(path).statement or {}).get("value")
        for kind in MASK_KINDS:
            if kind == f"mask-{value}":
                return kind
        raise AnnotationError(
            path, f"does not say which value is tumour; choose {', '.join(MASK_KINDS)} with --kind"
        )
    found = _classify(path, masks_only=False)
    if isinstance(found, Found) and found.kind in ("asap", "geojson", "ncrf"):
        return found.kind
    reason = found if isinstance(found, str) and found else "is no annotation"
    raise AnnotationError(path, f"{reason}; ASAP's XML, GeoJSON and NCRF's JSON are taken")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise CohortError(None, f"{folder}: there is no such folder")


def _walk(
    folder: Path, ignored: dict[Path, str], *, masks_only: bool, above: tuple[Path, ...] = ()
) -> Iterator[Found]:
    if folder.resolve() in above:
        return  # a link back up
    above = (*above, folder.resolve())
    masks_only = masks_only or folder.name.casefold() in _MASK_FOLDERS
    items = sorted(item for item in folder.iterdir() if not item.name.startswith("."))
    dicom = [item for item in items if item.is_file() and _is_dicom_slide(item)]
    series: dict[str | None, Path] = {}
    for item in dicom:
        series.setdefault(dicom_series(item), item)
    if len(series) == 1 and len(dicom) == len(items):
        yield Found(folder, "slide", folder.resolve().name)
    else:
        yield from (Found(file, "slide", file.stem) for file in series.values())
    companions = {item.stem for item in items if item.suffix.lower() == ".mrxs"}
    for item in items:
        if item.is_dir():
            if item.name.casefold() in _NO_SLIDES_IN:
                ignored[item] = "holds masks of tissue, not slides"
            elif item.suffix.lower() != _RESULT and item.name not in companions:
                yield from _walk(item, ignored, masks_only=masks_only, above=above)
        elif item not in dicom:
            found = _classify(item, masks_only=masks_only)
            if isinstance(found, Found):
                yield found
            else:
                ignored[item] = found


def _classify(path: Path, *, masks_only: bool) -> Found | str:
    """What a file is, or why it is nothing."""
    suffix, stem = path.suffix.lower(), path.stem
    if suffix in SLIDE_SUFFIXES:
        if _NO_SLIDE.search(stem):
            return "is a picture of a slide, not a slide, by its name"
        if masks_only or _MASK_ENDING.search(stem):
            return Found(path, "mask", plain_name(_MASK_ENDING.sub("", stem)))
        return Found(path, "slide", stem)
    name = plain_name(stem)
    if suffix == ".xml":
        root = _xml_root(path)
        # What cannot be parsed is named when it is read.
        known = root in ("ASAP_Annotations", None)
        return Found(path, "asap", name) if known else f"is XML of {root!r}, not of ASAP"
    if suffix in (".json", ".geojson"):
        return _classify_json(path, name)
    return ""


def _classify_json(path: Path, name: str) -> Found | str:
    try:
        value = read_json(path)
    except AnnotationError:
        return Found(path, "geojson", name)  # named when it is read
    if looks_like_ncrf(value):
        return Found(path, "ncrf", name)
    one = value[0] if isinstance(value, list) and value else value
    if isinstance(one, dict) and "wsi_pipeline" in one:
        return "holds findings of a model, not an annotation"
    if isinstance(one, dict) and one.get("type") in _GEOMETRIES:
        return Found(path, "geojson", name)
    if path.suffix.lower() == ".geojson":
        return Found(path, "geojson", name)
    return "is JSON of another kind"


def _xml_root(path: Path) -> str | None:
    """The name of the root element; None if it cannot be told."""
    roots: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: roots.append(tag)
    parser.StartDoctypeDeclHandler = _refuse
    try:
        with path.open("rb") as file:
            while not roots and (block := file.read(4096)):
                parser.Parse(block)
    except (OSError, ValueError, expat.ExpatError):
        pass
    return roots[0] if roots else None


def _refuse(*_: object) -> None:
    raise ValueError("no document type is read, whatever it declares")


def _is_dicom_slide(path: Path) -> bool:
    try:
        return path.suffix.lower() in DICOM_SUFFIXES or (not path.suffix and is_dicom(path))
    except OSError:
        return False
