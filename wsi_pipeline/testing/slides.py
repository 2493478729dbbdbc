"""Slides for tests: one that lives in memory, and makers of small pyramid files."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import DamagedSlideError
from wsi_pipeline.geometry import Mpp, Region, Size
from wsi_pipeline.slide.info import Level, SlideInfo, nominal_downsample
from wsi_pipeline.slide.reader import WHITE

Pixels = NDArray[np.uint8]
"""uint8 RGB, ``(height, width, 3)``."""

_UM_PER_CM = 10_000.0


class ArraySlide:
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` over arrays in memory.

    Args:
        levels: Px of each level, finest first; must not be changed afterwards.
        mpp: µm per level-0 px, along both axes or each; None for a slide that states none.
        scanned: For each level ``(height, width)``, False where the scanner did not look; None if
            it looked everywhere.
        unreadable: Boxes in px of their level; a read that touches one fails.
        bounds: The scanned area in level-0 px, where the slide limits it.
        segment: What it says is decoded together of every level.
        path: What the slide calls itself.

    Attributes:
        reads: Every region asked for so far, in the order in which reads began.
    """

    def __init__(
        self,
        levels: Sequence[Pixels],
        *,
        mpp: float | Mpp | None = 0.5,
        scanned: Sequence[NDArray[np.bool_]] | None = None,
        unreadable: Sequence[Region] = (),
        bounds: Region | None = None,
        segment: Size | None = None,
        path: Path = Path("array-slide"),
    ) -> None:
        sizes = [Size(pixels.shape[1], pixels.shape[0]) for pixels in levels]
        full = sizes[0]
        self._levels = tuple(levels)
        self._scanned = tuple(scanned or (np.ones(p.shape[:2], np.bool_) for p in levels))
        self._unreadable = tuple(unreadable)
        self._segment = segment
        self._lock = threading.Lock()
        self.reads: list[Region] = []
        self._info = SlideInfo(
            path=path,
            vendor="array",
            levels=tuple(
                Level(size, nominal_downsample(full.width / size.width, size, full))
                for size in sizes
            ),
            mpp=None if mpp is None else _mpp_of(mpp),
            bounds=bounds,
        )

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self._info

    @property
    def bytes_read(self) -> int:
        """Bytes of the px returned so far."""
        return sum(3 * region.width * region.height for region in self.reads)

    def path_of(self, level: int) -> str:  # noqa: ARG002 - the interface asks per level
        """Always ``"array"``."""
        return "array"

    def segment_of(self, level: int) -> Size | None:  # noqa: ARG002 - the interface asks per level
        """Always the same."""
        return self._segment

    def read(self, region: Region) -> Pixels:
        """See :meth:`SlideReader.read`."""
        return self.read_scanned(region)[0]

    def read_scanned(self, region: Region) -> tuple[Pixels, NDArray[np.bool_]]:
        """See :meth:`SlideReader.read_scanned`."""
        with self._lock:
            self.reads.append(region)
        if any(_overlap(region, box) for box in self._unreadable):
            where = f"level {region.level} at ({region.x}, {region.y})"
            raise DamagedSlideError(self._info.path, f"cannot decode {where}: made unreadable")
        pixels = cut(self._levels[region.level], region, WHITE)
        scanned = cut(self._scanned[region.level], region, 0)
        pixels[~scanned] = WHITE
        return pixels, scanned

    def close(self) -> None:
        """Nothing to free."""


def cut(array: NDArray[Any], region: Region, outside: int) -> NDArray[Any]:
    """A copy of a region of a level's array, ``outside`` where the array has no px."""
    out = np.full((region.height, region.width, *array.shape[2:]), outside, array.dtype)
    left, right = max(region.x, 0), min(region.right, array.shape[1])
    top, bottom = max(region.y, 0), min(region.bottom, array.shape[0])
    if left < right and top < bottom:
        out[top - region.y : bottom - region.y, left - region.x : right - region.x] = array[
            top:bottom, left:right
        ]
    return out


def reduced(image: Pixels, factor: int, *, round_up: bool = False) -> Pixels:
    """A coarser level: the rounded mean of blocks of ``factor`` × ``factor`` px.

    Args:
        image: Level 0.
        factor: Level-0 px per px of the level.
        round_up: Keep an incomplete last row and column of blocks, filled by their edge.
    """
    height, width = image.shape[:2]
    if round_up:
        pad = ((0, -height % factor), (0, -width % factor), (0, 0))
        whole = np.pad(image, pad, mode="edge")
    else:
        whole = image[: height // factor * factor, : width // factor * factor]
    rows, columns = whole.shape[0] // factor, whole.shape[1] // factor
    blocks = whole.reshape(rows, factor, columns, factor, 3)
    means: NDArray[np.float64] = blocks.mean(axis=(1, 3), dtype=np.float64)
    return np.rint(means).astype(np.uint8)


def write_pyramid(
    path: Path,
    image: Pixels,
    *,
    mpp: float | Mpp | None = 0.5,
    tile: int = 128,
    compression: Literal["jpeg", "deflate"] = "deflate",
    downsamples: Sequence[int] = (1, 2, 4),
    round_up: bool = False,
    subifds: bool = False,
    ome: bool = False,
    quality: int = 90,
) -> list[Pixels]:
    """Write a tiled TIFF pyramid.

    Args:
        path: The file.
        image: Level 0.
        mpp: µm per level-0 px, along both axes or each; None states none.
        tile: Side of the file's tiles in px, a multiple of 16.
        compression: ``deflate`` keeps px as they are; ``jpeg`` is YCbCr 4:2:0.
        downsamples: Level-0 px per px of each level, starting with 1.
        round_up: Whether sizes of coarser levels are rounded up rather than down.
        subifds: Keep coarser levels in sub-IFDs, which OpenSlide does not look into.
        ome: Write an OME-TIFF; its coarser levels are in sub-IFDs.
        quality: Of the JPEG.

    Returns:
        What the file's levels decode to.
    """
    nested = subifds or ome
    jpeg: dict[str, Any] = {
        "photometric": "ycbcr",
        "subsampling": (2, 2),
        "compressionargs": {"level": quality},
    }
    options: dict[str, Any] = {
        "tile": (tile, tile),
        "compression": compression,
        **(jpeg if compression == "jpeg" else {"photometric": "rgb"}),
    }
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        for index, factor in enumerate(downsamples):
            pixels = image if factor == 1 else reduced(image, factor, round_up=round_up)
            if compression == "jpeg":
                # tifffile stores what it is given: the label alone converts nothing.
                pixels = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
            first = index == 0
            resolution = {} if mpp is None else _resolution(_mpp_of(mpp).scaled(factor))
            tiff.write(
                pixels,
                subfiletype=0 if first else 1,
                subifds=len(downsamples) - 1 if first and nested else None,
                metadata=_ome_metadata(mpp) if ome and first else None,
                **resolution,
                **options,
            )
    return read_levels(path)


def write_vips_pyramid(
    path: Path, image: Pixels, *, mpp: float = 0.5, tile: int = 128, quality: int = 90
) -> list[Pixels]:
    """Write a JPEG pyramid as libvips does: tables kept once per directory, not in each tile.

    Needs pyvips, which only tests depend on.

    Returns:
        What the file's levels decode to.
    """
    import pyvips  # noqa: PLC0415 - a test dependency

    pyvips.Image.new_from_array(image).tiffsave(
        str(path),
        tile=True,
        tile_width=tile,
        tile_height=tile,
        pyramid=True,
        compression="jpeg",
        Q=quality,
        xres=1000 / mpp,
        yres=1000 / mpp,
        resunit="cm",
    )
    return read_levels(path)


def read_levels(path: Path) -> list[Pixels]:
    """Every level of a TIFF pyramid, decoded by tifffile; in the main chain or in sub-IFDs."""
    with tifffile.TiffFile(path) as tiff:
        pages = list(tiff.pages)
        nested = list(pages[0].aspage().pages or ()) if len(pages) == 1 else []
        return [np.asarray(page.aspage().asarray()) for page in (*pages, *nested)]


def _mpp_of(mpp: float | Mpp) -> Mpp:
    return mpp if isinstance(mpp, Mpp) else Mpp(mpp, mpp)


def _resolution(mpp: Mpp) -> dict[str, Any]:
    across = (_UM_PER_CM / mpp.x, _UM_PER_CM / mpp.y)
    return {"resolution": across, "resolutionunit": "CENTIMETER"}


def _ome_metadata(mpp: float | Mpp | None) -> dict[str, Any]:
    if mpp is None:
        return {"axes": "YXS"}
    known = _mpp_of(mpp)
    return {"axes": "YXS", "PhysicalSizeX": known.x, "PhysicalSizeY": known.y}


def _overlap(one: Region, other: Region) -> bool:
    return (
        one.level == other.level
        and one.x < other.right
        and other.x < one.right
        and one.y < other.bottom
        and other.y < one.bottom
    )
