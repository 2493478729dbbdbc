"""Pyramids OpenSlide sees as one level: OME-TIFF and TIFF with reduced images in sub-IFDs."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.slide.info import Level, SlideInfo, nominal_downsample
from wsi_pipeline.slide.tiff_file import open_tiff
from wsi_pipeline.slide.tiff_level import TiffLevel
from wsi_pipeline.slide.tile_cache import TileCache

#: Decoded tiles kept per slide: two tile rows of one strip of the plan, for two regions at once.
CACHE_BYTES = 64 * 2**20

_REMEDY = (
    "convert it to an 8-bit RGB tiled pyramid, e.g. "
    "`vips tiffsave IN OUT.tiff --tile --pyramid --compression jpeg --bigtiff`"
)
_UM_PER_UNIT = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}


class TiffReader:
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` over a TIFF pyramid, without OpenSlide.

    Memory bound: :data:`CACHE_BYTES`, or the cache given, plus what a call returns.

    Args:
        path: The file.
        cache: For decoded tiles; None gives the slide one of its own.

    Raises:
        UnsupportedSlideError: the image is not one 8-bit RGB plane in tiles.
        DamagedSlideError: the directory cannot be parsed.
    """

    def __init__(self, path: Path, cache: TileCache | None = None) -> None:
        self._cache = cache or TileCache(CACHE_BYTES)
        self._descriptor = os.open(path, os.O_RDONLY)
        try:
            self._levels, self._info = self._parse(path)
        except SlideError:
            os.close(self._descriptor)
            raise
        except Exception as error:  # tifffile meets damage with many kinds of error
            os.close(self._descriptor)
            raise DamagedSlideError(path, f"its TIFF directory is damaged: {error}") from error

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self._info

    @property
    def bytes_read(self) -> int:
        """Compressed bytes fetched so far."""
        return sum(level.bytes_read for level in self._levels)

    def path_of(self, level: int) -> str:  # noqa: ARG002 - the interface asks per level
        """Always ``"tiff"``."""
        return "tiff"

    def tiles_of(self, level: int) -> TiffLevel | None:
        """The tiles of a level, where they are JPEG."""
        return self._levels[level] if self._levels[level].is_jpeg else None

    def read(self, region: Region) -> NDArray[np.uint8]:
        """See :meth:`SlideReader.read`."""
        return self._levels[region.level].read(region)

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`; TIFF states no transparency."""
        size = self._levels[region.level].size
        columns = np.arange(region.x, region.right)
        rows = np.arange(region.y, region.bottom)
        inside = ((rows >= 0) & (rows < size.height))[:, None] & (
            (columns >= 0) & (columns < size.width)
        )
        return self.read(region), inside

    def close(self) -> None:
        """Free the file."""
        os.close(self._descriptor)

    def _parse(self, path: Path) -> tuple[tuple[TiffLevel, ...], SlideInfo]:
        with open_tiff(path) as tiff:
            series = tiff.series[0]
            if series.ndim != 3 or series.axes[-1] != "S":
                shape = " × ".join(str(n) for n in series.shape)
                cause = f"holds {shape} ({series.axes}), not one RGB plane; {_REMEDY}"
                raise UnsupportedSlideError(path, cause)
            levels: list[TiffLevel] = []
            for sub in series.levels:
                try:
                    levels.append(TiffLevel(path, sub.keyframe, self._descriptor, self._cache))
                except UnsupportedSlideError as error:
                    cause = f"{error.cause.split(';')[0]}; {_REMEDY}"
                    raise UnsupportedSlideError(path, cause) from error
            mpp = _ome_mpp(tiff.ome_metadata) if tiff.is_ome else None
            vendor = "ome-tiff" if tiff.is_ome else "tiff-subifd"
            if mpp is None:
                mpp = _resolution_mpp(tiff.pages.first)
        sizes = [level.size for level in levels]
        return tuple(levels), SlideInfo(path, vendor, _pyramid(sizes), mpp)


def hides_pyramid(path: Path) -> bool:
    """Whether a TIFF is an OME-TIFF or keeps its reduced images in sub-IFDs."""
    with open_tiff(path) as tiff:
        return bool(tiff.is_ome) or bool(tiff.pages.first.subifds)


def _pyramid(sizes: list[Size]) -> tuple[Level, ...]:
    full = sizes[0]
    stated = [(full.width / s.width + full.height / s.height) / 2 for s in sizes]
    return tuple(
        Level(size, max(1.0, nominal_downsample(ratio, size, full)))
        for size, ratio in zip(sizes, stated, strict=True)
    )


def _ome_mpp(xml: str | None) -> Mpp | None:
    """PhysicalSizeX/Y of the first Pixels element, in µm (OME model 2016-06, default unit µm)."""
    if not xml:
        return None
    try:
        pixels = ET.fromstring(xml).find(".//{*}Pixels")  # noqa: S314 - expat refuses entity bombs
    except ET.ParseError:
        return None
    if pixels is None:
        return None
    values: list[float] = []
    for axis in ("X", "Y"):
        size, unit = pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if size is None or unit not in _UM_PER_UNIT:
            return None
        try:
            values.append(float(size) * _UM_PER_UNIT[unit])
        except ValueError:
            return None
    return Mpp(*values) if min(values) > 0 else None


def _resolution_mpp(page: tifffile.TiffPage) -> Mpp | None:
    """µm per px from the resolution tags (TIFF 6.0, section 8); None if they state no unit."""
    um_per_unit = {2: 25400.0, 3: 10000.0}.get(int(page.resolutionunit))
    try:
        x, y = page.resolution
        return None if um_per_unit is None else Mpp(um_per_unit / x, um_per_unit / y)
    except (ValueError, ZeroDivisionError):
        return None
