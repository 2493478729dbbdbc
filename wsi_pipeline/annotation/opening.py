"""Opening ground truth of any kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from wsi_pipeline.annotation.asap import read_asap
from wsi_pipeline.annotation.geojson import read_geojson
from wsi_pipeline.annotation.groups import Groups
from wsi_pipeline.annotation.mask import MaskTruth
from wsi_pipeline.annotation.ncrf import read_ncrf
from wsi_pipeline.annotation.outline import OutlineTruth
from wsi_pipeline.annotation.shapes import check_inside, tumour_area
from wsi_pipeline.annotation.truth import Truth, TruthKind
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Size

#: What reads the outlines of each kind.
READERS = {"asap": read_asap, "geojson": read_geojson, "ncrf": read_ncrf}


def open_truth(
    path: Path, kind: TruthKind, size: Size | None = None, *, tumour: Sequence[str] = ()
) -> Truth:
    """Open an annotation or a mask.

    Args:
        path: The file.
        kind: Its format, and for a mask the value of tumour.
        size: The slide's level 0, px; where it is given, the truth must lie on it. None: a mask's
            own finest level is level 0, unless the mask says otherwise.
        tumour: Groups or classes that are tumour; empty: the usual names.

    Returns:
        An :class:`~wsi_pipeline.annotation.outline.OutlineTruth` or a
        :class:`~wsi_pipeline.annotation.mask.MaskTruth`; may be shared between threads.

    Raises:
        AnnotationError: it cannot be read, lies outside the slide, or is a mask of other values
            or of another slide's size.
        UsageError: there is no such kind.
    """
    if kind.startswith("mask-") and kind in get_args(TruthKind):
        return MaskTruth(path, kind, size)
    if kind not in READERS:
        raise UsageError(
            f"there is no kind of annotation or mask called {kind!r}; choose "
            f"{', '.join(get_args(TruthKind))}"
        )
    area, notes = tumour_area(path, READERS[kind](path), Groups(tuple(tumour)))
    truth = OutlineTruth(kind, area, notes)
    if size is not None and truth.bounds is not None:
        check_inside(path, truth.bounds, size.width, size.height)
    return truth
