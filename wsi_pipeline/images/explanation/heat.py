"""From the places of a network's features back to the image, and the picture of it."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from wsi_pipeline.images.placement import Placement
from wsi_pipeline.model.description import ModelDescription

#: Longer side of a picture, px.
_SIDE = 768
_PALETTE, _OPACITY = "inferno", 0.6
_GAP = 8


@dataclass(frozen=True, slots=True)
class InputFrame:
    """How px of the model's square lie in the network's input: ``input = square * scale + shift``.

    Attributes:
        scale: Px of the input for each px of the square.
        shift: Px of the input between the edges, negative where the square is cropped.
        side: Of the input, px.
    """

    scale: float
    shift: float
    side: int

    @classmethod
    def of(cls, about: ModelDescription) -> "InputFrame":
        """Of a package, as :class:`~wsi_pipeline.model.preprocessing.Preparer` does it."""
        steps, side = about.preprocessing, about.patch_px
        resized = side if steps.resize is None else steps.resize.px
        padded = max(resized, steps.pad or 0)
        shift = (padded - resized) // 2 - round((padded - about.input_px) / 2)
        return cls(resized / side, float(shift), about.input_px)


def over_image(
    maps: NDArray[np.float32], frame: InputFrame, placement: Placement, width: int, height: int
) -> NDArray[np.float32]:
    """A map at the px of the image, between its places linearly.

    Args:
        maps: ``(rows, columns)`` over the network's input.
        frame: Of the package.
        placement: Where the image lies in the square.
        width: Of what is wanted, px; the whole image is scaled to it.
        height: The same.

    Returns:
        float32 ``(height, width)``; 0 where the network was given nothing of the image.
    """

    def along(count: int, scale: float, offset: float, cells: int) -> NDArray[np.float64]:
        """Where px of the picture lie among the cells of the map."""
        square = (np.arange(count) + 0.5) * scale + offset
        return (square * frame.scale + frame.shift) / frame.side * cells - 0.5

    # Of the whole image, which `width` and `height` may be a smaller picture of.
    across = along(width, placement.scale_x, placement.left, maps.shape[1])
    down = along(height, placement.scale_y, placement.top, maps.shape[0])
    places = np.meshgrid(down, across, indexing="ij")
    found = ndimage.map_coordinates(maps, places, order=1, mode="nearest")
    seen_x = (across >= -0.5) & (across <= maps.shape[1] - 0.5)
    seen_y = (down >= -0.5) & (down <= maps.shape[0] - 0.5)
    return np.where(seen_y[:, None] & seen_x, found, 0).astype(np.float32)


def picture(
    pixels: NDArray[np.uint8], maps: NDArray[np.float32], frame: InputFrame, placement: Placement
) -> NDArray[np.uint8]:
    """The image, and beside it the image under its map; px of the map's largest value are bright.

    Args:
        pixels: The image, ``(height, width, 3)`` RGB.
        maps: ``(rows, columns)`` over the network's input.
        frame: Of the package.
        placement: Where the image lies in the square.

    Returns:
        ``(height, 2 * width + 8, 3)`` RGB, of an image shrunk to at most 768 px.
    """
    image = Image.fromarray(pixels)
    whole = image.size
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    shrunk = np.asarray(image)
    height, width = shrunk.shape[:2]
    smaller = Placement(
        placement.scale_x * whole[0] / width,
        placement.scale_y * whole[1] / height,
        placement.left,
        placement.top,
    )
    heat = over_image(maps, frame, smaller, width, height)
    heat = heat / np.maximum(heat.max(), np.finfo(np.float32).tiny)
    colours = np.asarray(mpl.colormaps[_PALETTE](heat), np.float32)[..., :3] * 255
    opacity = (_OPACITY * heat)[..., None]
    grey = np.asarray(image.convert("L"), np.float32)[..., None]
    under = np.repeat(grey, 3, axis=2) * (1 - opacity) + colours * opacity
    white = np.full((height, _GAP, 3), 255, np.uint8)
    return np.concatenate([shrunk, white, np.rint(under).astype(np.uint8)], axis=1)
