"""TIFF pyramids and pictures that OpenSlide does not read, or not with all their levels."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import tifffile

from wsi_pipeline.errors import DamagedSlideError, SlideError, UnsupportedSlideError
from wsi_pipeline.geometry import Mpp, Size
from wsi_pipeline.slide.info import Level, SlideInfo, nominal_downsample
from wsi_pipeline.slide.jpeg_header import Encoding
from wsi_pipeline.slide.shared_file import SharedFile
from wsi_pipeline.slide.stored_reader import CACHE_BYTES, StoredReader
from wsi_pipeline.slide.tiff.file import open_tiff
from wsi_pipeline.slide.tiff.level import TiffLevel
from wsi_pipeline.slide.tiff.refusal import content_refusal, refusal_of
from wsi_pipeline.slide.tile_cache import TileCache

_UM_PER_UNIT = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
#: How ImageJ, and QuPath's export for it, write micrometres.
_IMAGEJ_UM = frozenset({"um", "µm", "μm", "micron", "microns", r"\u00B5m"})
_UM_PER_INCH = 25400.0
#: Resolutions at which pictures are printed or shown, dots per inch.
_PRINT_DPI = (72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 254, 300, 360, 400, 600, 720, 1200)
#: Coarser px than this (µm) are no microscope's.
_COARSEST_MPP = 100.0
_REDUCED = 1
_RGB_PLANES = 3


class TiffReader(StoredReader):
    """A :class:`~wsi_pipeline.slide.reader.SlideReader` over a TIFF file, without OpenSlide.

    Args:
        path: The file.
        cache: For decoded segments; None gives the slide one of its own.

    Raises:
        UnsupportedSlideError: the image is not one 8-bit RGB plane; says why, and the remedy.
        DamagedSlideError: the directory cannot be parsed.
    """

    def __init__(self, path: Path, cache: TileCache | None = None) -> None:
        cache = cache or TileCache(CACHE_BYTES)
        file = SharedFile(path)
        try:
            levels, info = _parse(path, file, cache)
        except SlideError:
            file.close()
            raise
        except Exception as error:  # tifffile meets damage with many kinds of error
            file.close()
            raise DamagedSlideError(path, f"its TIFF directory is damaged: {error}") from error
        super().__init__(info, levels, "tiff", file.close)
        self._stored = levels

    def tiles_of(self, level: int) -> TiffLevel | None:
        """The stored segments of a level; None where it is computed."""
        return self._stored[level] if level < len(self._stored) else None

    def read_as(self, encodings: Mapping[int, Encoding], cause: str) -> StoredReader:
        """The same slide with JPEG components taken for something else; it closes the file.

        Args:
            encodings: What they are taken for, by level.
            cause: Why, for the slide's facts.
        """
        levels = [
            level.read_as(encodings[index]) if index in encodings else level
            for index, level in enumerate(self._stored)
        ]
        # Computed levels are made anew, of the right colours.
        stored = self.info.levels[: len(levels)]
        info = replace(self.info, levels=stored, colours_corrected=cause)
        return StoredReader(info, levels, "tiff", self.close)


def suits_openslide(path: Path) -> bool:
    """Whether OpenSlide reads a TIFF of no vendor with all its levels, and as what it is.

    It overlooks the levels of OME-TIFF and those in sub-IFDs, and shows other px than colours as if
    they were: :class:`TiffReader` reads the former and refuses the latter.
    """
    with open_tiff(path) as tiff:
        first = tiff.pages.first
        return not (tiff.is_ome or first.subifds or content_refusal(first))


def _parse(
    path: Path, file: SharedFile, cache: TileCache
) -> tuple[tuple[TiffLevel, ...], SlideInfo]:
    with open_tiff(path) as tiff:
        if not len(tiff.pages):
            raise DamagedSlideError(path, "its first TIFF directory is missing: truncated?")
        series = tiff.series[0]
        stored = [_pages_of(path, level) for level in series.levels]
        if len(stored) == 1 and len(stored[0]) == 1:
            stored += [[page] for page in _reduced_pages(tiff, stored[0][0])]
        levels = tuple(TiffLevel(path, pages, file, cache) for pages in stored)
        first = stored[0][0]
        ome = _ome_root(tiff.ome_metadata) if tiff.is_ome else None
        mpp, warnings = _spacing(tiff, first, ome)
        objective = None if ome is None else _ome_objective(ome)
        vendor = "ome-tiff" if tiff.is_ome else "tiff-subifd" if first.subifds else "tiff"
        warnings += _oddities(first)
    sizes = [level.size for level in levels]
    return levels, SlideInfo(path, vendor, _pyramid(sizes), mpp, objective, warnings=warnings)


def _pages_of(path: Path, series: tifffile.TiffPageSeries) -> list[tifffile.TiffPage]:
    """The directory of a level, or the three of its colours."""
    axes, shape = series.axes, " × ".join(str(n) for n in series.shape)
    first = series.keyframe
    together = axes == "CYX" and len(series.pages) == 1 and first.samplesperpixel == _RGB_PLANES
    if axes in ("YX", "YXS", "SYX") or together:
        return [first]
    if axes == "CYX" and len(series.pages) == series.shape[0] == _RGB_PLANES:
        pages = [page.aspage() for page in series.pages if page is not None]
        if len(pages) == _RGB_PLANES:
            return pages
    if "C" in axes:
        cause = (
            f"holds {shape} ({axes}) px: {series.shape[axes.index('C')]} channels "
            "(fluorescence or multichannel image?), not 8-bit RGB; the models judge stained "
            "tissue on a bright background"
        )
    else:
        cause = (
            f"holds {shape} ({axes}) px: a stack of pictures, not one; take one of them "
            "with `bfconvert -z 0 -timepoint 0 IN OUT.ome.tiff`"
        )
    raise UnsupportedSlideError(path, cause)


def _reduced_pages(
    tiff: tifffile.TiffFile, first: tifffile.TiffPage
) -> Iterator[tifffile.TiffPage]:
    """Directories after the first that are the same picture reduced, finest first."""
    last = Size(first.imagewidth, first.imagelength)
    for number in range(1, len(tiff.pages)):
        page = tiff.pages[number].aspage()
        if int(page.subfiletype) != _REDUCED or page.imagewidth >= last.width:
            continue
        # Sizes are rounded to whole px.
        height = first.imagelength * page.imagewidth / first.imagewidth
        slack = 1 + first.imagelength / first.imagewidth
        if abs(page.imagelength - height) <= slack and refusal_of([page]) is None:
            last = Size(page.imagewidth, page.imagelength)
            yield page


def _oddities(page: tifffile.TiffPage) -> tuple[str, ...]:
    found: list[str] = []
    orientation = int(page.tags.valueof("Orientation", 1))
    if orientation != 1:
        text = f"TIFF orientation {orientation} is not applied: coordinates are those of stored px"
        found.append(text)
    if page.samplesperpixel == 4 and page.extrasamples and not int(page.extrasamples[0]):
        found.append("a fourth channel of unstated meaning is left out")
    return tuple(found)


def _pyramid(sizes: Sequence[Size]) -> tuple[Level, ...]:
    full = sizes[0]
    stated = [(full.width / s.width + full.height / s.height) / 2 for s in sizes]
    return tuple(
        Level(size, max(1.0, nominal_downsample(ratio, size, full)))
        for size, ratio in zip(sizes, stated, strict=True)
    )


def _spacing(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage, ome: ET.Element | None
) -> tuple[Mpp | None, tuple[str, ...]]:
    """µm per px that the file states, and a warning if what it states is for printing."""
    mpp = None if ome is None else _ome_mpp(ome)
    if mpp is not None:
        return mpp, ()
    mpp = _resolution_mpp(tiff, page)
    if mpp is not None and _is_for_print(mpp):
        dpi = _UM_PER_INCH / mpp.x
        text = f"states {dpi:.4g} dots per inch, which is for printing and not taken for a spacing"
        return None, (text,)
    return mpp, ()


def _is_for_print(mpp: Mpp) -> bool:
    if mpp.mean > _COARSEST_MPP:
        return True
    dpi = _UM_PER_INCH / mpp.x
    # Files round dots per inch to whole dots per metre.
    return mpp.x == mpp.y and any(abs(dpi / usual - 1) < 1e-3 for usual in _PRINT_DPI)


def _ome_root(xml: str | None) -> ET.Element | None:
    if not xml:
        return None
    try:
        return ET.fromstring(xml)  # noqa: S314 - expat refuses entity bombs
    except ET.ParseError:
        return None


def _ome_objective(root: ET.Element) -> float | None:
    """Magnification of the first image's objective; of the only one, where it names none."""
    objectives = {item.get("ID"): item for item in root.iterfind(".//{*}Objective")}
    named = root.find(".//{*}Image/{*}ObjectiveSettings")
    if named is not None:
        chosen = objectives.get(named.get("ID"))
    else:
        chosen = next(iter(objectives.values())) if len(objectives) == 1 else None
    try:
        return None if chosen is None else float(chosen.get("NominalMagnification", ""))
    except ValueError:
        return None


def _ome_mpp(root: ET.Element) -> Mpp | None:
    """PhysicalSizeX/Y of the first Pixels element, in µm (OME model 2016-06, default unit µm)."""
    pixels = root.find(".//{*}Pixels")
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


def _resolution_mpp(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Mpp | None:
    """µm per px from the resolution tags (TIFF 6.0, section 8); None if they state no unit."""
    um_per_unit = {2: _UM_PER_INCH, 3: 10000.0}.get(int(page.resolutionunit))
    if tiff.is_imagej and (tiff.imagej_metadata or {}).get("unit") in _IMAGEJ_UM:
        um_per_unit = 1.0
    try:
        x, y = page.resolution
        return None if um_per_unit is None else Mpp(um_per_unit / x, um_per_unit / y)
    except (ValueError, ZeroDivisionError):
        return None
