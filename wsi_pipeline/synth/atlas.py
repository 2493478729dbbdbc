"""Ready-coloured, wrapping textures of every tissue for one seed and stain."""

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from wsi_pipeline.synth.noise import enlarge, fractal_noise
from wsi_pipeline.synth.planting import KINDS
from wsi_pipeline.synth.stains import STEPS_PER_UNIT, Stain
from wsi_pipeline.synth.tissues import PAINTERS

Rgb = npt.NDArray[np.uint8]
"""uint8 (height, width, 3), sRGB."""


@dataclass(frozen=True, eq=False)
class Texture:
    """An image that tiles the plane without seams: uint8 (side, side, 3) at 0.25 µm/px."""

    image: Rgb

    def copy_to(self, out: Rgb, x: int, y: int) -> None:
        """Fill ``out`` with the part of the endless texture whose top-left px is ``x``, ``y``."""
        side = self.image.shape[0]
        height, width = out.shape[:2]
        row = 0
        while row < height:
            top = (y + row) % side
            rows = min(height - row, side - top)
            column = 0
            while column < width:
                left = (x + column) % side
                columns = min(width - column, side - left)
                out[row : row + rows, column : column + columns] = self.image[
                    top : top + rows, left : left + columns
                ]
                column += columns
            row += rows


def texture_limit(longest_px: int) -> int:
    """The largest texture side in px worth painting for a slide of this length: 1,024-4,096."""
    return min(4096, max(1024, 1 << (longest_px - 1).bit_length() - 1))


def build_textures(
    seed: int, stain: Stain, kinds: Sequence[str], limit: int = 4096
) -> Mapping[str, Texture]:
    """Paint the textures of normal tissue and of some kinds; a few seconds, then remembered.

    Args:
        seed: Any non-negative integer; the same one paints the same textures.
        stain: How concentrations become colours.
        kinds: Of tissue that is planted; textures of the others are not painted.
        limit: Largest side of a texture in px, a power of two; see :func:`texture_limit`.

    Returns:
        Textures by tissue name, plus ``stroma_upright``, the same fibres turned by 90°.
    """
    # The largest first: two at a time bounds the memory.
    names = sorted(
        (name for name in PAINTERS if name not in KINDS or name in kinds),
        key=lambda name: (-PAINTERS[name][1], name),
    )
    with ThreadPoolExecutor(2) as pool:
        painted = pool.map(lambda name: _paint(name, seed, stain, limit), names)
        textures = dict(zip(names, painted, strict=True))
    textures["stroma_upright"] = _upright(seed, stain, limit)
    return textures


# As many as two slides of all kinds have.
@lru_cache(maxsize=2 * len(PAINTERS))
def _paint(name: str, seed: int, stain: Stain, limit: int) -> Texture:
    """One tissue's texture."""
    painter, side = PAINTERS[name]
    side = min(side, limit)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    levels = painter(rng, side)
    if name != "glass":
        # Stain never takes evenly: both drift slowly, so that no tissue has one mean colour.
        # Faintly where it covers much of a slide, or the texture's period would show.
        spreads = (0.08, 0.20) if name == "tumour" else (0.06, 0.13)
        for index, spread in enumerate(spreads):
            coarse = (side // 32, side // 32)
            drift = fractal_noise(rng, coarse, 1000 / 32, octaves=3, persistence=0.7)
            levels[index] *= enlarge((1 + spread * drift).clip(0.6, 1.5), (side, side))
    levels *= STEPS_PER_UNIT
    levels += 0.5
    np.clip(levels, 0, 255, out=levels)
    codes = levels[0].astype(np.uint16)
    codes <<= 8
    codes |= levels[1].astype(np.uint8)
    return Texture(np.take(stain.table(), codes, axis=0))


@lru_cache(maxsize=2)
def _upright(seed: int, stain: Stain, limit: int) -> Texture:
    """Stroma whose fibres run downwards."""
    across = _paint("stroma", seed, stain, limit).image
    return Texture(np.ascontiguousarray(across.transpose(1, 0, 2)))
