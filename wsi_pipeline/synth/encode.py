"""Compressed tiles: JPEG for pixels, deflate for truth, each constant tile encoded once."""

from collections.abc import Mapping
from threading import Lock

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from wsi_pipeline.synth.atlas import Rgb, Texture

Gray = npt.NDArray[np.uint8]
"""uint8 (height, width)."""


def halve(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Halve an image by the mean of 2 × 2 px; an odd last row or column is dropped.

    Args:
        image: uint8 (h, w) or (h, w, 3), at least 2 px each way.

    Returns:
        uint8 of half the size, rounded down.
    """
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    even = np.ascontiguousarray(image[:height, :width])
    return np.asarray(Image.fromarray(even).reduce(2))


class TileEncoder:
    """Encodes square tiles; threads may share one.

    Args:
        tile: Side of a tile in px.
        quality: JPEG quality, 1-100.
        glass: The texture of empty glass, whose level-0 origin is the slide's.
    """

    def __init__(self, tile: int, quality: int, glass: Texture) -> None:
        self.tile = tile
        self._quality = quality
        self._glass = [glass.image]
        self._ready: dict[tuple[object, ...], bytes] = {}
        self._lock = Lock()

    def pixels(self, image: Rgb) -> bytes:
        """Encode up to one tile of pixels; what lacks is filled with the last row and column.

        Args:
            image: uint8 (h, w, 3), h and w from 1 to the tile's side.

        Returns:
            A JPEG stream with its own tables, YCbCr 4:2:0.
        """
        if not image[0, 0].any() and not image.any():
            return self._remembered(("black",), np.zeros((self.tile, self.tile, 3), np.uint8))
        return self._jpeg(self._padded(image))

    def plain(self, level: int, column: int, row: int) -> bytes:
        """The tile of empty glass at a tile position of a level, as :meth:`pixels` makes it."""
        with self._lock:
            while len(self._glass) <= level and self._glass[-1].shape[0] > 1:
                self._glass.append(halve(self._glass[-1]))
        texture = Texture(self._glass[min(level, len(self._glass) - 1)])
        side = texture.image.shape[0]
        x, y = column * self.tile % side, row * self.tile % side
        with self._lock:
            known = self._ready.get(("glass", level, x, y))
        if known is not None:
            return known
        image = np.empty((self.tile, self.tile, 3), np.uint8)
        texture.copy_to(image, x, y)
        return self._remembered(("glass", level, x, y), image)

    def truth(self, share: Gray | None) -> bytes:
        """Encode up to one tile of the tumour's truth; what lacks is 0.

        Args:
            share: uint8 (h, w), the share of tumour as 0-255; ``None`` for no tumour. A px of the
                tile is 255 where at least half of it is tumour.

        Returns:
            A zlib stream of uint8 (tile, tile) of 0 and 255.
        """
        return self._flat({} if share is None else {255: share})

    def classes(self, shares: Mapping[int, Gray]) -> bytes:
        """Encode up to one tile of the mask of classes; what lacks is 0.

        Args:
            shares: By class index, uint8 (h, w), the share of the class as 0-255. A px of the
                tile is the class that covers at least half of it, the lower of two halves.

        Returns:
            A zlib stream of uint8 (tile, tile) of class indices.
        """
        return self._flat(shares)

    def _flat(self, shares: Mapping[int, Gray]) -> bytes:
        """Encode a tile of the values whose share is at least half."""
        whole = np.zeros((self.tile, self.tile), np.uint8)
        for value in sorted(shares, reverse=True):
            height, width = shares[value].shape
            whole[:height, :width][shares[value] >= 128] = value
        first = int(whole[0, 0])
        if (whole == first).all():
            return self._remembered(("flat", first), whole)
        return bytes(imagecodecs.zlib_encode(whole.tobytes(), level=6))

    def _remembered(self, key: tuple[object, ...], image: npt.NDArray[np.uint8]) -> bytes:
        """Encode on first use of the key only."""
        with self._lock:
            if key not in self._ready:
                self._ready[key] = (
                    self._jpeg(image)
                    if image.ndim == 3
                    else bytes(imagecodecs.zlib_encode(image.tobytes(), level=9))
                )
            return self._ready[key]

    def _padded(self, image: Rgb) -> Rgb:
        below, right = self.tile - image.shape[0], self.tile - image.shape[1]
        if below or right:
            return np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    def _jpeg(self, image: Rgb) -> bytes:
        return bytes(
            imagecodecs.jpeg8_encode(
                image,
                level=self._quality,
                colorspace="rgb",
                outcolorspace="ycbcr",
                subsampling="420",
            )
        )
