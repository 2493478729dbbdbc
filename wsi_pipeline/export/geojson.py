"""GeoJSON as QuPath reads and writes it: regions of every class as annotations, cells as tiles."""

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from wsi_pipeline.classes import ModelClass
from wsi_pipeline.export.decision import Decision, decide_all
from wsi_pipeline.export.destination import draft
from wsi_pipeline.export.outlines import Outline, tumour_regions
from wsi_pipeline.stitch.record import to_plain
from wsi_pipeline.stitch.result import Result

#: QuPath's own class for tumour, by its name and colour there.
TUMOR_CLASS = {"name": "Tumor", "color": [200, 0, 0]}
_TUMOUR = "tumour"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "wsi_pipeline")


def write_geojson(
    result: Result,
    path: Path,
    *,
    threshold: float | None = None,
    tiles: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the regions of every class as a FeatureCollection in level-0 px.

    Of a result without classes: where the networks of its slide-level answer look most.

    Of each class that has probabilities, the positive one first, with the most suspicious region
    first, see :func:`~wsi_pipeline.export.outlines.tumour_regions`; a region has its class as
    QuPath's classification, with name and colour. A region's ``id`` depends on slide, model, class
    and threshold only. One feature a line: that of the positive class's region 3 is the third.
    Memory does not grow with the number of tiles.

    Args:
        result: The result.
        path: The file.
        threshold: Probability (0-1) at and above which a cell is tumour; None takes the result's.
        tiles: Also write each classified cell as a ``tile`` object with its stitched probability.
        overwrite: Whether a file there may be replaced.

    Raises:
        UsageError: the threshold is no probability, or a file is in the way.
        ResultError: the result is damaged.
    """
    positive = result.classes.positive
    decisions = sorted(decide_all(result, threshold), key=lambda one: one.of.name != positive)
    slide, model = result.slide, result.model
    told = {"notice": model.notice} if model.notice else {}
    answer = result.record.slide_answer
    fitted = {"slide_answer": to_plain(answer)} if answer is not None and answer.fitted else {}
    about = {
        "slide": {
            "name": slide.name,
            "sha256": slide.sha256,
            "width": slide.width,
            "height": slide.height,
        },
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256, **told},
        "threshold": decisions[0].threshold if decisions else result.threshold,
        **fitted,
        "notice": "research use only - not for diagnosis",
    }
    seed = f"{slide.sha256}/{model.sha256}"
    with draft(path, overwrite=overwrite) as new, new.open("w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", "wsi_pipeline": {_json(about)}, "features": [')
        separator = "\n"
        for feature in _features(decisions, seed, tiles=tiles):
            file.write(separator + _json(feature))
            separator = ",\n"
        file.write("\n]}\n")


def _features(decisions: Sequence[Decision], seed: str, *, tiles: bool) -> Iterator[dict[str, Any]]:
    for decision in decisions:
        yield from _regions(decision, seed)
    if tiles and decisions:
        yield from _tiles(decisions, seed)


def _regions(decision: Decision, seed: str) -> Iterator[dict[str, Any]]:
    kind = _classification(decision.of)
    # Regions of tumour keep the names that they had when there was no other class.
    measure = "attention rank" if decision.attention else "probability"
    place = "region" if decision.of.name == _TUMOUR else f"{decision.of.name}/region"
    for index, region in enumerate(tumour_regions(decision)):
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, f"{seed}/{decision.threshold!r}/{place}/{index}")),
            "geometry": _geometry(region.outline),
            "properties": {
                "objectType": "annotation",
                "name": f"{kind['name']} {index + 1}",
                "classification": kind,
                "measurements": {
                    "Area mm2": round(region.area_mm2, 6),
                    f"Max {measure}": _rounded(region.largest),
                    f"Mean {measure}": _rounded(region.mean),
                },
                "isLocked": False,
            },
        }


def _classification(of: ModelClass) -> dict[str, Any]:
    return TUMOR_CLASS if of.name == _TUMOUR else {"name": of.name, "color": list(of.rgb)}


def _tiles(decisions: Sequence[Decision], seed: str) -> Iterator[dict[str, Any]]:
    """Each classified cell, row by row."""
    first = decisions[0]
    x, y = first.column_edges, first.row_edges
    for row, column in np.argwhere(~np.isnan(first.probability)):
        left, right = _number(x[column]), _number(x[column + 1])
        top, bottom = _number(y[row]), _number(y[row + 1])
        box = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(_NAMESPACE, f"{seed}/tile/{column},{row}")),
            "geometry": {"type": "Polygon", "coordinates": [box]},
            "properties": {
                "objectType": "tile",
                "measurements": {
                    f"prob_{one.of.name}": _rounded(float(one.probability[row, column]))
                    for one in decisions
                },
                "isLocked": True,
            },
        }


def _geometry(outline: Outline) -> dict[str, Any]:
    if isinstance(outline, shapely.Polygon):
        return {"type": "Polygon", "coordinates": _rings(outline)}
    return {"type": "MultiPolygon", "coordinates": [_rings(part) for part in outline.geoms]}


def _rings(polygon: shapely.Polygon) -> list[list[list[int | float]]]:
    rings = (polygon.exterior, *polygon.interiors)
    return [_points(shapely.get_coordinates(ring)) for ring in rings]


def _points(points: NDArray[np.float64]) -> list[list[int | float]]:
    whole = np.rint(points)
    if np.array_equal(whole, points):
        return [[int(x), int(y)] for x, y in whole]
    return [[_number(x), _number(y)] for x, y in points]


def _number(value: float) -> int | float:
    """A coordinate without a needless fraction; thousandths of a px are kept."""
    return int(value) if value == int(value) else round(float(value), 3)


def _rounded(probability: float) -> float:
    # All that float32 holds; more digits would be noise.
    return round(probability, 7)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
