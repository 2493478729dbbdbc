"""The JSON that a result keeps of itself has the fields it always had, in their order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wsi_pipeline.pipeline import Work, analyse_slide
from wsi_pipeline.run.preparation import prepare

#: What programs that read results rely on. Fields may be added; none may go or be renamed.
KEYS = {
    "format": {},
    "slide": {
        "name": {},
        "sha256": {},
        "vendor": {},
        "width": {},
        "height": {},
        "mpp": {"x": {}, "y": {}},
        "mpp_source": {},
        "mpp_file": {"x": {}, "y": {}},
        "levels": [{"width": {}, "height": {}, "downsample": {}}],
        "level": {},
        "colours_corrected": {},
    },
    "model": {
        "name": {},
        "version": {},
        "sha256": {},
        "mpp": {},
        "level": {},
        "synthetic": {},
        "intended_use": {},
        "notice": {},
    },
    "configuration": None,
    "fingerprint": {},
    "classes": {"task": {}, "members": None, "positive": {}},
    "threshold": {},
    "grid": {
        "columns": {},
        "rows": {},
        "patch_px": {},
        "stride_px": {},
        "map_px": {},
        "margin_px": {},
        "scale": {},
        "stretch": {"x": {}, "y": {}},
        "cell_px_0": {},
        "cell_height_px_0": {},
        "patch_px_0": {},
        "patch_height_px_0": {},
        "mpp": {"x": {}, "y": {}},
        "kind": {},
    },
    "runtime": {"runtime": {}, "device": {}, "precision": {}},
    "software": None,
    "counts": {"empty": {}, "classified": {}, "glass": {}, "unreadable": {}, "rejected": {}},
    "tiles": {},
    "tissue": {"rule": {}, "tiles_read_to_decide": {}, "full_resolution_reads_saved": {}},
    "pixels": {},
    "slide_score": {},
    "slide_score_rule": {},
    "tumour_area_mm2": {},
    "tissue_area_mm2": {},
    "tumour_percent": {},
    "class_areas_mm2": None,
    "controls": {"cells": None, "probabilities": None},
    "colours": {
        "tiles": {},
        "mean": None,
        "std": None,
        "training": {"patches": {}, "mean": None, "std": None},
        "distance": {},
    },
    "quality": {
        "method": {},
        "mode": {},
        "limit": {},
        "tiles": {},
        "marked": {},
        "reasons": None,
        "rejected": {},
        "withheld": {},
        "focus": {},
        "notes": None,
        "thresholds": None,
    },
    "warnings": None,
    "alarms": [{"code": {}, "message": {}}],
    "timings": {
        "classify_seconds": {},
        "read_thread_seconds": {},
        "model_wait_seconds": {},
        "resumed_tiles": {},
    },
    "arrays": None,
    "metadata": None,
    "digest": {},
}


def outline(value: Any, like: Any) -> Any:
    """The names in a value, as deep as the pattern tells."""
    if like is None:
        return None
    if isinstance(like, list):
        return [outline(value[0], like[0])]
    if isinstance(value, dict):
        return {key: outline(item, like.get(key, {})) for key, item in value.items()}
    return {}


def test_the_fields_of_the_store_are_what_they_were(
    tmp_path: Path, make_slide: Callable[..., Path], make_work: Callable[..., Work]
) -> None:
    work = make_work()
    prepared = prepare(make_slide(), work.package, work.analysis)
    result = analyse_slide(prepared, tmp_path / "a.zarr", work)
    assert result.alarms, "the slide is small and its model a made-up one"
    found = outline(result.attributes, KEYS)
    assert found == KEYS
    assert list(found) == list(KEYS)
    seal = {"format", "arrays", "metadata", "digest"}
    told = {key: value for key, value in result.attributes.items() if key not in seal}
    assert result.record.to_json() == told
    assert (result.slide_score, result.tumour_area_mm2, result.tissue_area_mm2) == (
        told["slide_score"],
        told["tumour_area_mm2"],
        told["tissue_area_mm2"],
    )
    assert (result.name, result.tiles) == (told["slide"]["name"], told["tiles"])
