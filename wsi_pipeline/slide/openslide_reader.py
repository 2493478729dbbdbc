"""Pixels through OpenSlide: every format it knows, and the measure for every faster way."""

import threading
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.slide.info import Level, SlideInfo, nominal_downsample
from wsi_pipeline.slide.reader import WHITE, over_white
from wsi_pipeline.slide.recognition import why_no_slide
from wsi_pipeline.slide.tile_cache import TileCache

#: Decoded tiles OpenSlide keeps per slide: two tile rows of one strip of the plan, for two
#: regions at once.
CACHE_BYTES = 64 * 2**20
#: The same where it only reads overviews, because patches are decoded directly.
SMALL_CACHE_BYTES = 8 * 2**20


class DecodedTiles:
    """Decoded tiles of all slides that are given it, within one bound.

    Args:
        capacity: Most bytes kept: half for tiles OpenSlide decodes, half for those decoded
            directly, because nobody knows which slides will come.
    """

    def __init__(self, capacity: int) -> None:
        self.of_openslide = openslide.OpenSlideCache(capacity // 2)
        self.direct = TileCache(capacity // 2)


class OpenSlideReader:
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` over one OpenSlide handle.

    OpenSlide turns a handle unusable at its first error, so a failed read replaces the handle:
    one bad tile costs one tile. Memory bound: :data:`CACHE_BYTES`, or the cache given, plus what a
    call returns.

    Args:
        path: The slide's file.
        cache: For decoded tiles; None gives the slide one of its own.
    """

    def __init__(self, path: Path, cache: openslide.OpenSlideCache | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._shares_cache = cache is not None
        self._cache = cache or openslide.OpenSlideCache(CACHE_BYTES)
        self._handle = self._open()
        self._stated_downsamples: tuple[float, ...] = tuple(self._handle.level_downsamples)
        try:
            self._info = _info_of(path, self._handle)
        except (ValueError, openslide.OpenSlideError) as error:
            raise DamagedSlideError(path, f"its metadata are invalid: {error}") from error
        self._bytes_read = 0

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self._info

    @property
    def bytes_read(self) -> int:
        """Bytes of decoded pixels returned: OpenSlide does not tell what it fetched."""
        return self._bytes_read

    def path_of(self, level: int) -> str:  # noqa: ARG002 - the interface asks per level
        """Always ``"openslide"``."""
        return "openslide"

    def segment_of(self, level: int) -> Size | None:  # noqa: ARG002 - the interface asks per level
        """None: OpenSlide moves what it reads by parts of a px on coarser levels."""
        return None

    def stated_downsample(self, level: int) -> float:
        """The downsample OpenSlide itself computes with, which rounding makes inexact."""
        return self._stated_downsamples[level]

    def shrink_cache(self) -> None:
        """Keep few decoded tiles, because another reader reads the patches."""
        if self._shares_cache:
            return
        self._cache = openslide.OpenSlideCache(SMALL_CACHE_BYTES)
        self._handle.set_cache(self._cache)

    def read(self, region: Region) -> NDArray[np.uint8]:
        """See :meth:`SlideReader.read`."""
        return self._read(region)[0]

    def read_scanned(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`."""
        rgb, alpha = self._read(region)
        return rgb, alpha > 0

    def close(self) -> None:
        """Free the handle."""
        self._handle.close()

    def _read(self, region: Region) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        # OpenSlide wants the corner in level-0 px and divides by the downsample *it* states, so
        # that one is used here and the nominal one everywhere else.
        downsample = self._stated_downsamples[region.level]
        corner_0 = (round(region.x * downsample), round(region.y * downsample))
        handle = self._handle
        try:
            image = handle.read_region(corner_0, region.level, (region.width, region.height))
        except openslide.OpenSlideError as error:
            self._replace(handle)
            where = f"level {region.level} at ({region.x}, {region.y})"
            raise DamagedSlideError(self._path, f"cannot decode {where}: {error}") from error
        rgba = np.asarray(image)
        self._bytes_read += rgba.nbytes
        alpha = rgba[..., 3]
        rgb = np.ascontiguousarray(rgba[..., :3])
        if alpha.min() < WHITE:
            rgb = over_white(rgb, alpha)
        return rgb, alpha

    def _replace(self, broken: openslide.OpenSlide) -> None:
        with self._lock:
            if self._handle is broken:
                # The old handle is freed when the last thread inside it lets go of it.
                self._handle = self._open()

    def _open(self) -> openslide.OpenSlide:
        try:
            handle = openslide.OpenSlide(self._path)
        except openslide.OpenSlideUnsupportedFormatError as error:
            raise why_no_slide(self._path) from error
        except openslide.OpenSlideError as error:
            raise _opening_error(self._path, error) from error
        handle.set_cache(self._cache)
        return handle


def detect_vendor(path: Path) -> str | None:
    """The format OpenSlide sees in a file (``aperio``, ``generic-tiff``, …), None if none."""
    vendor: str | None = openslide.OpenSlide.detect_format(path)
    return vendor


def library_version() -> str:
    """Version of the OpenSlide library."""
    return str(openslide.__library_version__)


def _opening_error(path: Path, error: openslide.OpenSlideError) -> SlideError:
    cause = f"cannot be opened: {error}".replace(f"{path}", "file")
    if "nsupported" not in str(error):
        return DamagedSlideError(path, cause)
    return UnsupportedSlideError(
        path, f"{cause}; convert it with `bfconvert -series 0 -compression JPEG IN OUT.ome.tiff`"
    )


def _info_of(path: Path, handle: openslide.OpenSlide) -> SlideInfo:
    properties = handle.properties
    sizes = [Size(*dimensions) for dimensions in handle.level_dimensions]
    levels = tuple(
        Level(size, max(1.0, nominal_downsample(stated, size, sizes[0])))
        for size, stated in zip(sizes, handle.level_downsamples, strict=True)
    )
    warnings: list[str] = []
    mpp: Mpp | None = None
    try:
        mpp = Mpp(float(properties["openslide.mpp-x"]), float(properties["openslide.mpp-y"]))
    except KeyError:
        pass
    except ValueError as error:
        warnings.append(f"the stated resolution is unusable ({error})")
    objective = _number(properties.get("openslide.objective-power"))
    bounds: Region | None = None
    if "openslide.bounds-width" in properties:
        x, y, width, height = (
            int(properties[f"openslide.bounds-{key}"]) for key in ("x", "y", "width", "height")
        )
        bounds = Region(0, x, y, width, height)
    vendor = properties.get("openslide.vendor", "unknown")
    return SlideInfo(path, vendor, levels, mpp, objective, bounds, tuple(warnings))


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
