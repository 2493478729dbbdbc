"""Writes one synthetic slide with its truth mask and annotations, whole or not at all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from shapely.geometry import Polygon, mapping

from wsi_pipeline import durable
from wsi_pipeline.errors import UsageError
from wsi_pipeline.geometry import Size
from wsi_pipeline.synth.annotation import asap_xml
from wsi_pipeline.synth.pyramid import Progress, Pyramid
from wsi_pipeline.synth.scene import make_scene
from wsi_pipeline.synth.spec import SynthSpec

#: Above this many level-0 px a file may outgrow classic TIFF's 4 GiB.
_BIG_PX = 2_000_000_000
_MICROMETRES_PER_CM = 10_000


@dataclass(frozen=True, slots=True)
class SynthSlide:
    """A written slide and the truth about it."""

    #: The slide, its truth mask and its annotations.
    path: Path
    mask: Path
    annotations: Path
    #: What was asked for.
    spec: SynthSpec
    #: Size of every pyramid level, level 0 first.
    levels: tuple[Size, ...]
    #: Level-0 px of tumour, as counted in the mask.
    tumour_px: int
    #: The tumour's outlines in level-0 px, px edges at integers.
    polygons: tuple[Polygon, ...]
    #: Planted artefacts: kind and place in level-0 px.
    artefacts: tuple[Mapping[str, object], ...]

    def to_json(self) -> dict[str, object]:
        """All of it as JSON types; polygons as GeoJSON geometries in level-0 px."""
        return {
            "slide": str(self.path),
            "mask": str(self.mask),
            "annotations": str(self.annotations),
            "spec": asdict(self.spec),
            "levels": [[size.width, size.height] for size in self.levels],
            "tumour_px": self.tumour_px,
            "polygons": [mapping(polygon) for polygon in self.polygons],
            "artefacts": [dict(facts) for facts in self.artefacts],
        }


def truth_paths(path: Path) -> tuple[Path, Path]:
    """The mask and the annotations that belong to a slide: ``NAME_mask.tiff``, ``NAME.xml``."""
    return path.with_name(f"{path.stem}_mask.tiff"), path.with_suffix(".xml")


def write_slide(
    spec: SynthSpec, path: Path, progress: Progress | None = None, *, overwrite: bool = False
) -> SynthSlide:
    """Draw a slide and write it with its truth beside it.

    The three files are written under temporary names and moved into place when all are complete,
    the slide last. The same spec gives the same bytes.

    Args:
        spec: What to draw.
        path: The slide's file; its suffix should be ``spec.suffix``.
        progress: Called as ``progress(done, total)`` in level-0 px.
        overwrite: Whether files of these names may be replaced.

    Returns:
        Where everything lies, and the truth.

    Raises:
        UsageError: If a file is in the way, or the tumour asked for is too small to draw.
    """
    mask, annotations = truth_paths(path)
    if not overwrite:
        for final in (annotations, mask, path):
            if final.exists():
                raise UsageError(f"{final} already exists; pass --overwrite to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = make_scene(spec)
    pyramid = Pyramid(scene, progress)
    # They take their names in the reverse order.
    with (
        durable.replacing(path, replace=overwrite) as pixels,
        durable.replacing(mask, replace=overwrite) as truth,
        durable.replacing(annotations, replace=overwrite) as outlines,
    ):
        outlines.write_bytes(asap_xml(scene.tumour))
        _write_pixels(pixels, spec, pyramid)
        _write_truth(truth, spec, pyramid)
    return SynthSlide(
        path=path,
        mask=mask,
        annotations=annotations,
        spec=spec,
        levels=pyramid.sizes,
        tumour_px=pyramid.tumour_px,
        polygons=scene.tumour,
        artefacts=tuple(artefact.facts() for artefact in scene.artefacts),
    )


def _common(spec: SynthSpec, level: int) -> dict[str, Any]:
    """Tags of one level."""
    across = _MICROMETRES_PER_CM / (spec.mpp * 2**level)
    return {
        "dtype": np.uint8,
        "tile": (spec.tile, spec.tile),
        "subfiletype": 1 if level else 0,
        "resolution": (across, across),
        "resolutionunit": "CENTIMETER",
        "software": "wsi-pipeline",
        "metadata": None,
    }


def _write_pixels(path: Path, spec: SynthSpec, pyramid: Pyramid) -> None:
    """Write the slide while it is drawn: level 0 as a stream, then the levels kept meanwhile."""
    aperio = spec.format == "svs-like"
    with tifffile.TiffWriter(path, bigtiff=spec.size.area > _BIG_PX) as tiff:
        for level, size in enumerate(pyramid.sizes):
            tiff.write(
                iter(pyramid.tiles(level)) if level else pyramid.finest(),
                shape=(size.height, size.width, 3),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                description=_described(spec, size, level),
                **_common(spec, level),
            )
            if aperio and level == 0:
                overview = pyramid.overview()
                tiff.write(
                    overview,
                    photometric="rgb",
                    compression="deflate",
                    rowsperstrip=16,
                    description=_aperio(spec, Size(overview.shape[1], overview.shape[0])),
                    software="wsi-pipeline",
                    metadata=None,
                )


def _write_truth(path: Path, spec: SynthSpec, pyramid: Pyramid) -> None:
    """Write the mask: the slide's pyramid, 255 where tumour was drawn."""
    with tifffile.TiffWriter(path, bigtiff=spec.size.area > _BIG_PX) as tiff:
        for level, size in enumerate(pyramid.sizes):
            tiff.write(
                iter(pyramid.truth(level)),
                shape=(size.height, size.width),
                photometric="minisblack",
                compression="deflate",
                **_common(spec, level),
            )


def _described(spec: SynthSpec, size: Size, level: int) -> str | None:
    """The image description; level 0 of every format says that nobody scanned this slide."""
    if spec.format == "svs-like":
        return _aperio(spec, size)
    if level:
        return None
    return f"wsi-pipeline synthetic slide|Stain = {spec.stain}|Seed = {spec.seed}"


def _aperio(spec: SynthSpec, size: Size) -> str:
    """An image description of the kind that Aperio's scanners write."""
    whole = spec.size
    lines = f"Aperio Image Library (wsi-pipeline synthetic)\r\n{whole.width}x{whole.height}"
    box = f"[0,0 {whole.width}x{whole.height}] ({spec.tile}x{spec.tile})"
    reduced = "" if size == whole else f" -> {size.width}x{size.height}"
    power = round(10 / spec.mpp)
    return (
        f"{lines} {box}{reduced} JPEG/RGB Q={spec.quality}"
        f"|AppMag = {power}|MPP = {spec.mpp:.6g}|Filename = synthetic {spec.seed}"
        f"|Stain = {spec.stain}"
    )
