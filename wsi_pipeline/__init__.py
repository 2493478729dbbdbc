"""WSI Pipeline: from whole-slide images to tumour masks with checksums.

    slide -> levels -> tissue -> plan -> regions -> predictor -> stitch -> result.zarr -> exports

``from wsi_pipeline import analyse`` runs all of it. Research software, not a medical device.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsi_pipeline.notebook import analyse, probability_array
    from wsi_pipeline.stitch.result import Result

__all__ = ["Result", "analyse", "probability_array"]

_HOMES = {
    "analyse": "wsi_pipeline.notebook",
    "probability_array": "wsi_pipeline.notebook",
    "Result": "wsi_pipeline.stitch.result",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `import wsi_pipeline` alone takes milliseconds, in every child process.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - with the rest, on first use

    return getattr(importlib.import_module(_HOMES[name]), name)
