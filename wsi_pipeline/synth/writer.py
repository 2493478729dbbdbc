"""Writes one synthetic slide with its truth mask and annotations, whole or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
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
from wsi_pipeline.synth.planting import CLASSES
from wsi_pipeline.synth.pyramid import Progress, Pyramid
from wsi_pipeline.synth.scene import make_scene
from wsi_pipeline.synth.spec import SynthSpec

#: Above this many level-0 px a file may outgrow classic TIFF's 4 GiB.
_BIG_PX = 2_000_000_000
#: Key of the JSON in the image description of level 0 of a mask of classes: the names of its
#: values, from 0.
CLASS_NAMES = "wsi_pipeline_classes"
_MICROMETRES_PER_CM = 10_000


@dataclass(frozen=True, slots=True)
class SynthSlide:
    """A written slide and the truth about it."""

    #: The slide, its truth mask and its annotations.
    path: Path
    mask: Path
    annotations: Path
    #: The mask of classes; ``None`` for a slide of tumour alone.
    classes: Path | None
    #: What was asked for.
    spec: SynthSpec
    #: Size of every pyramid level, level 0 first.
    levels: tuple[Size, ...]
    #: Level-0 px of every kind that was asked for, as counted in the masks.
    kind_px: Mapping[str, int]
    #: The outlines of every kind that was asked for in level-0 px, px edges at integers.
    planted: Mapping[str, tuple[Polygon, ...]]
    #: Planted artefacts: kind and place in level-0 px.
    artefacts: tuple[Mapping[str, object], ...]

    @property
    def tumour_px(self) -> int:
        """Level-0 px of tumour."""
        return self.kind_px["tumour"]

    @property
    def polygons(self) -> tuple[Polygon, ...]:
        """The tumour's outlines in level-0 px."""
        return self.planted["tumour"]

    def to_json(self) -> dict[str, object]:
        """All of it as JSON types; polygons as GeoJSON in level-0 px."""
        features = [
            {
                "type": "Feature",
                "geometry": mapping(polygon),
                "properties": {"classification": {"name": kind}},
            }
            for kind, polygons in self.planted.items()
            for polygon in polygons
        ]
        return {
            "slide": str(self.path),
            "mask": str(self.mask),
            "annotations": str(self.annotations),
            "class_mask": None if self.classes is None else str(self.classes),
            "classes": list(CLASSES),
            "spec": asdict(self.spec),
            "levels": [[size.width, size.height] for size in self.levels],
            "tumour_px": self.tumour_px,
            "polygons": [mapping(polygon) for polygon in self.polygons],
            "kind_px": dict(self.kind_px),
            "planted": {"type": "FeatureCollection", "features": features},
            "artefacts": [dict(facts) for facts in self.artefacts],
        }


def truth_paths(path: Path) -> tuple[Path, Path]:
    """The mask and the annotations that belong to a slide: ``NAME_mask.tiff``, ``NAME.xml``."""
    return path.with_name(f"{path.stem}_mask.tiff"), path.with_suffix(".xml")


def class_mask_path(path: Path) -> Path:
    """The mask of classes of a slide with further kinds: ``NAME_classes_mask.tiff``."""
    return path.with_name(f"{path.stem}_classes_mask.tiff")


def artefacts_path(path: Path) -> Path:
    """The outlines of a slide's artefacts: ``NAME_artefacts.geojson``, level-0 px."""
    return path.with_name(f"{path.stem}_artefacts.geojson")


def write_slide(
    spec: SynthSpec, path: Path, progress: Progress | None = None, *, overwrite: bool = False
) -> SynthSlide:
    """Draw a slide and write it with its truth beside it.

    The files are written under temporary names and moved into place when all are complete, the
    slide last. The same spec gives the same bytes. A slide of tumour alone has a mask and
    annotations; one with further kinds also has a mask of classes, one with artefacts their
    outlines.

    Args:
        spec: What to draw.
        path: The slide's file; its suffix should be ``spec.suffix``.
        progress: Called as ``progress(done, total)`` in level-0 px.
        overwrite: Whether files of these names may be replaced.

    Returns:
        Where everything lies, and the truth.

    Raises:
        UsageError: If a file is in the way, or a kind asked for is too small to draw.
    """
    mask, annotations = truth_paths(path)
    classes, artefacts = class_mask_path(path), artefacts_path(path)
    if not overwrite:
        for final in (artefacts, classes, annotations, mask, path):
            if final.exists():
                raise UsageError(f"{final} already exists; pass --overwrite to replace it")
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = make_scene(spec)
    pyramid = Pyramid(scene, progress)
    outlined = [
        (one.outline, facts)
        for one, facts in zip(scene.artefacts, scene.facts, strict=True)
        if one.outline is not None
    ]
    # They take their names in the reverse order.
    with ExitStack() as stack:
        pixels = stack.enter_context(durable.replacing(path, replace=overwrite))
        truth = stack.enter_context(durable.replacing(mask, replace=overwrite))
        outlines = stack.enter_context(durable.replacing(annotations, replace=overwrite))
        outlines.write_bytes(asap_xml(scene.planted))
        _write_pixels(pixels, spec, pyramid)
        _write_mask(truth, spec, pyramid.truth)
        if outlined:
            places = stack.enter_context(durable.replacing(artefacts, replace=overwrite))
            places.write_text(_geojson(outlined), encoding="utf-8")
        if spec.plants:
            indices = stack.enter_context(durable.replacing(classes, replace=overwrite))
            _write_mask(indices, spec, pyramid.classes, names=CLASSES)
    if not outlined:
        artefacts.unlink(missing_ok=True)
    if not spec.plants:
        classes.unlink(missing_ok=True)  # of the slide that this one replaces
    return SynthSlide(
        path=path,
        mask=mask,
        annotations=annotations,
        classes=classes if spec.plants else None,
        spec=spec,
        levels=pyramid.sizes,
        kind_px={kind: pyramid.class_px.get(CLASSES.index(kind), 0) for kind in scene.planted},
        planted=scene.planted,
        artefacts=scene.facts,
    )


def _geojson(outlined: Sequence[tuple[Polygon, Mapping[str, object]]]) -> str:
    """Outlines in level-0 px, with kind and strength as properties."""
    features = [
        {
            "type": "Feature",
            "geometry": mapping(outline),
            "properties": {**facts, "classification": {"name": facts["kind"]}},
        }
        for outline, facts in outlined
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1) + "\n"


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


def _write_mask(
    path: Path,
    spec: SynthSpec,
    tiles: Callable[[int], list[bytes]],
    *,
    names: Sequence[str] | None = None,
) -> None:
    """Write a mask with the slide's pyramid; ``names`` of its values go into the description."""
    said = None if names is None else json.dumps({CLASS_NAMES: list(names)})
    with tifffile.TiffWriter(path, bigtiff=spec.size.area > _BIG_PX) as tiff:
        for level, size in enumerate(spec.level_sizes):
            tiff.write(
                iter(tiles(level)),
                shape=(size.height, size.width),
                photometric="minisblack",
                compression="deflate",
                description=None if level else said,
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
