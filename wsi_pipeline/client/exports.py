"""What of a result can be fetched."""

from collections.abc import Mapping
from typing import Literal

Export = Literal["mask", "zip", "heatmap", "geojson", "csv", "tiff"]

#: What of a result can be fetched, and its path below the job's.
EXPORTS: Mapping[Export, str] = {
    "mask": "mask.zarr.zip",
    "zip": "mask.zarr.zip",
    "heatmap": "heatmap.png",
    "geojson": "regions.geojson",
    "csv": "tiles.csv",
    "tiff": "mask.tiff",
}
#: Those that are of one class.
OF_A_CLASS: tuple[Export, ...] = ("heatmap", "tiff")
