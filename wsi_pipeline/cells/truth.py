"""Boxes that people drew, and how well found cells agree with them."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from wsi_pipeline.cells.fields import FieldRecord
from wsi_pipeline.cells.finder import KINDS, Box, Kind
from wsi_pipeline.errors import CohortError
from wsi_pipeline.metrics.bootstrap import Estimate, percentiles, weights

#: Intersection over union from which a found box and a drawn one are the same cell.
LEAST_IOU = 0.5
_COLUMNS = ("image", "label", "xmin", "ymin", "xmax", "ymax")

Truth = Mapping[str, Mapping[Kind, Sequence[Box]]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one kind, over fields.

    Attributes:
        kind: Which.
        matched: Found boxes that are a drawn one.
        found: All found.
        drawn: All drawn.
        precision: Share of the found ones that are drawn.
        recall: Share of the drawn ones that are found.
    """

    kind: Kind
    matched: int
    found: int
    drawn: int
    precision: Estimate
    recall: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind,
            "matched": self.matched,
            "found": self.found,
            "drawn": self.drawn,
            "precision": self.precision.to_json(),
            "recall": self.recall.to_json(),
        }


def read_truth(path: Path) -> Truth:
    """Boxes by the name of the image and by kind.

    A CSV with the columns image, label (WBC, RBC, Platelets), xmin, ymin, xmax, ymax in px from the
    image's top-left corner.

    Raises:
        CohortError: it cannot be read, lacks a column, or a row is no box.
    """
    boxes: dict[str, dict[Kind, list[Box]]] = defaultdict(lambda: {kind: [] for kind in KINDS})
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise CohortError(
                    path, f"lacks {', '.join(missing)}; it needs the columns {', '.join(_COLUMNS)}"
                )
            for line, row in enumerate(reader, start=2):
                kind = next((one for one in KINDS if one == row["label"]), None)
                if kind is None:
                    raise CohortError(
                        path,
                        f"line {line}: the label {row['label']!r} is none of {', '.join(KINDS)}",
                    )
                try:
                    box = Box(*(float(row[name]) for name in _COLUMNS[2:]))
                except (TypeError, ValueError) as error:
                    raise CohortError(
                        path, f"line {line}: no box with xmin < xmax and ymin < ymax"
                    ) from error
                boxes[PurePath(row["image"]).name][kind].append(box)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(path, f"cannot be read: {error}") from error
    return dict(boxes)


def agreement(fields: Sequence[FieldRecord], truth: Truth) -> tuple[list[Agreement], list[str]]:
    """Precision and recall of each kind, with 95 % intervals by bootstrap over fields.

    Args:
        fields: What was found; those without drawn boxes are left out.
        truth: What was drawn, by the image's name.

    Returns:
        By kind, and the names of the fields that were left out.
    """
    judged = [one for one in fields if Path(one.path).name in truth]
    left_out = [one.path for one in fields if Path(one.path).name not in truth]
    result = []
    for kind in KINDS:
        counts = np.zeros((len(judged), 3))
        for index, one in enumerate(judged):
            found = [cell.box for cell in one.cells if cell.kind == kind]
            drawn = truth[Path(one.path).name][kind]
            counts[index] = matches(found, drawn), len(found), len(drawn)
        result.append(_agreement(kind, counts))
    return result, left_out


def matches(found: Sequence[Box], drawn: Sequence[Box]) -> int:
    """The most pairs of a found and a drawn box, each box in one pair at most.

    A pair has an intersection over union of :data:`LEAST_IOU` or more.
    """
    if not found or not drawn:
        return 0
    same = _iou(_array(found), _array(drawn)) >= LEAST_IOU
    rows, columns = linear_sum_assignment(same, maximize=True)
    return int(same[rows, columns].sum())


def _agreement(kind: Kind, counts: NDArray[np.float64]) -> Agreement:
    matched, found, drawn = counts.sum(axis=0)
    drawn_again = weights(np.zeros(len(counts))) @ counts
    return Agreement(
        kind,
        int(matched),
        int(found),
        int(drawn),
        _estimate(matched, found, drawn_again[:, 0], drawn_again[:, 1]),
        _estimate(matched, drawn, drawn_again[:, 0], drawn_again[:, 2]),
    )


def _estimate(
    part: float, whole: float, parts: NDArray[np.float64], wholes: NDArray[np.float64]
) -> Estimate:
    shares = np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)
    return Estimate(float(part / whole) if whole else float("nan"), percentiles(shares))


def _array(boxes: Sequence[Box]) -> NDArray[np.float64]:
    return np.array([(box.xmin, box.ymin, box.xmax, box.ymax) for box in boxes])


def _iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every pair, ``(n, m)``."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    shared: NDArray[np.float64] = both / (areas[0][:, None] + areas[1][None] - both)
    return shared
