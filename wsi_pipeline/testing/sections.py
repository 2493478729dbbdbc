"""Stained sections drawn from optical densities, and JPEG pyramids with any colour label."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from wsi_pipeline.slide.jpeg_header import Encoding
from wsi_pipeline.testing.slides import Pixels, reduced

Density = tuple[float, float, float]
Marker = Literal["own", "none", "jfif"]
#: Optical densities of R, G and B (Ruifrok and Johnston 2001).
HAEMATOXYLIN: Density = (0.65, 0.70, 0.29)
EOSIN: Density = (0.07, 0.99, 0.11)

_UM_PER_CM = 10_000.0
#: The marker of JFIF 1.1, without a resolution or a thumbnail.
_JFIF = bytes.fromhex("ffe000104a46494600010100000100010000")
#: Values of *PhotometricInterpretation* (TIFF 6.0).
_TAGS = {"rgb": 2, "ycbcr": 6}


def draw_section(
    *,
    size: tuple[int, int] = (384, 288),
    stains: tuple[Density, Density] = (HAEMATOXYLIN, EOSIN),
    glass: tuple[int, int, int] = (243, 243, 241),
    cover: float = 0.4,
    seed: int = 0,
) -> Pixels:
    """A section as transmitted light shows it (Beer and Lambert), with the noise of a camera.

    Args:
        size: Width and height, px.
        stains: Optical densities of what stains nuclei, and of what stains the rest.
        glass: Its colour.
        cover: Share of the picture that is tissue.
        seed: The same one draws the same.

    Returns:
        ``(height, width, 3)``.
    """
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0])

    def field(coarse: int) -> NDArray[np.float64]:
        """Noise whose blobs are some px wide: its ranks, 0-1."""
        few = rng.normal(size=(shape[0] // coarse + 2, shape[1] // coarse + 2))
        noise = ndimage.zoom(few, coarse, order=1)[: shape[0], : shape[1]]
        ranks: NDArray[np.float64] = noise.ravel().argsort().argsort().reshape(shape) / noise.size
        return ranks

    tissue = field(48) < cover
    rest = tissue * (0.15 + 0.35 * field(8))
    nuclei = tissue * (field(3) > 0.8) * (0.6 + 0.5 * field(6))
    density = nuclei[..., None] * np.array(stains[0]) + rest[..., None] * np.array(stains[1])
    light = np.array(glass) * 10**-density + rng.normal(0, 1.5, (*shape, 3))
    return np.asarray(light.clip(0, 255), np.uint8)


def write_labelled_jpeg(
    path: Path,
    image: Pixels,
    *,
    tag: Literal["rgb", "ycbcr"],
    stored: Encoding,
    subsampled: bool = False,
    marker: Marker = "own",
    mpp: float = 0.5,
    tile: int = 128,
    downsamples: Sequence[int] = (1, 2),
    ome: bool = False,
) -> None:
    """Write a tiled JPEG pyramid whose tag says one thing and whose tiles hold that or another.

    Args:
        path: The file.
        image: Level 0, RGB.
        tag: What the directories say.
        stored: How the tiles are encoded.
        subsampled: Whether Cb and Cr have half the px a side.
        marker: Of the tiles: their encoder's ``own``, with its component identifiers; ``none``, and
            identifiers that say nothing, as libtiff writes RGB; or ``jfif`` whatever they hold.
        mpp: µm per level-0 px.
        tile: Side of a tile, px.
        downsamples: Level-0 px per px of each level.
        ome: Write an OME-TIFF, whose coarser levels are in sub-IFDs.
    """
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        for index, factor in enumerate(downsamples):
            pixels = image if factor == 1 else reduced(image, factor)
            per_cm = _UM_PER_CM / (mpp * factor)
            tiff.write(
                _tiles(pixels, tile, stored, subsampled=subsampled, marker=marker),
                shape=pixels.shape,
                dtype=np.uint8,
                photometric="ycbcr",
                compression="jpeg",
                tile=(tile, tile),
                subfiletype=0 if index == 0 else 1,
                subifds=len(downsamples) - 1 if ome and index == 0 else None,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
            )
    # The writer lets no other tag beside JPEG.
    with tifffile.TiffFile(path, mode="r+") as written:
        for page in (first.aspage() for first in written.pages):
            for directory in (page, *(sub.aspage() for sub in page.pages or ())):
                directory.tags["PhotometricInterpretation"].overwrite(_TAGS[tag])


def _tiles(
    image: Pixels, tile: int, stored: Encoding, *, subsampled: bool, marker: Marker
) -> Iterator[bytes]:
    height, width = image.shape[:2]
    whole = np.pad(image, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            data = bytes(
                imagecodecs.jpeg8_encode(
                    np.ascontiguousarray(whole[y : y + tile, x : x + tile]),
                    level=95,
                    colorspace="RGB",
                    outcolorspace=stored,
                    subsampling="420" if subsampled else "444",
                )
            )
            if marker != "own":
                data = _anonymous(data)
            if marker == "jfif":
                data = data[:2] + _JFIF + data[2:]
            yield data


def _anonymous(data: bytes) -> bytes:
    """A JPEG stream without application markers, its components called 0, 1 and 2."""
    out = bytearray(data[:2])
    position = 2
    identifiers: dict[int, int] = {}
    while True:
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        segment = bytearray(data[position:end])
        if marker == 0xC0:
            for number in range(3):
                identifiers[segment[10 + 3 * number]] = number
                segment[10 + 3 * number] = number
        elif marker == 0xDA:
            for number in range(3):
                segment[5 + 2 * number] = identifiers[segment[5 + 2 * number]]
        if not 0xE0 <= marker <= 0xEF:
            out += segment
        position = end
        if marker == 0xDA:
            return bytes(out + data[position:])
