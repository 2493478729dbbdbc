"""How an image of any size becomes the square that a model takes, and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.images.cut_out import cut_out
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.stain.normalisation import StainTarget

#: Times the shorter side of what is resampled to be cropped, at most: a line of px, enlarged as a
#: whole, would fill the memory.
_WIDEST = 4


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the model's square.

    ``square = image * scale + offset`` along each axis, in px from the top-left corner.

    Attributes:
        scale_x: Px of the square for each px of the image.
        scale_y: The same along y.
        left: Where the image's left edge lies; negative where it is cut off.
        top: The same of its upper edge.
    """

    scale_x: float
    scale_y: float
    left: float
    top: float

    def inside(self, width: int, height: int, side: int) -> tuple[slice, slice]:
        """Rows and columns of the square that an image covers.

        Args:
            width: Of the image, px.
            height: Of the image, px.
            side: Of the square, px.
        """
        return _covered(self.top, height * self.scale_y, side), _covered(
            self.left, width * self.scale_x, side
        )


@dataclass(frozen=True, slots=True)
class Square:
    """An image as a model is given it.

    Attributes:
        pixels: ``(side, side, 3)`` RGB.
        placement: Where the image lies in it.
        warning: What a person should know of it; empty if there is nothing.
    """

    pixels: NDArray[np.uint8]
    placement: Placement
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """How a model takes single images.

    Attributes:
        fit: How an image becomes the square.
        stain: What the image's stain is made like; None: it stays.
    """

    fit: ImageFit
    stain: StainTarget | None = None

    def __call__(self, pixels: NDArray[np.uint8], side: int) -> Square:
        """An image as a square of ``side`` px.

        The stain is found in the image's own px of the square, as they are after resampling.

        Args:
            pixels: ``(height, width, 3)`` RGB.
            side: In px.
        """
        square, placement = place(pixels, side, self.fit)
        if self.stain is None:
            return Square(square, placement)
        inside = placement.inside(pixels.shape[1], pixels.shape[0], side)
        own = square[inside]
        normalisation = self.stain.fitted(own.reshape(-1, 3))
        square = square.copy()
        square[inside] = normalisation.recolouring()(own)
        return Square(square, placement, normalisation.warning)


def place(
    pixels: NDArray[np.uint8], side: int, fit: ImageFit
) -> tuple[NDArray[np.uint8], Placement]:
    """An image as a square of ``side`` px.

    ``pad`` keeps the proportions and everything, and fills what is left; ``crop`` keeps the
    proportions and cuts the longer side; ``stretch`` keeps everything and changes proportions.
    Where the fit says so, the background is made white first. Resampled with Pillow's antialiased
    bilinear filter. An image of this size stays as it is.

    Args:
        pixels: ``(height, width, 3)`` RGB.
        side: In px.
        fit: How, and the colour to fill with.

    Returns:
        ``(side, side, 3)`` RGB, and where the image lies in it.
    """
    if fit.background == "cut":
        pixels = cut_out(pixels)
    cut_x = cut_y = 0
    if fit.how == "crop":
        cut_y, cut_x = (
            max(0, (length - _WIDEST * min(pixels.shape[:2])) // 2) for length in pixels.shape[:2]
        )
        pixels = pixels[cut_y : len(pixels) - cut_y, cut_x : pixels.shape[1] - cut_x]
    height, width = pixels.shape[:2]
    if fit.how == "stretch":
        inner_width = inner_height = side
    else:
        longest = max(width, height) if fit.how == "pad" else min(width, height)
        inner_width = max(1, round(width * side / longest))
        inner_height = max(1, round(height * side / longest))
    image = Image.fromarray(pixels)
    if (inner_width, inner_height) != (width, height):
        image = image.resize((inner_width, inner_height), Image.Resampling.BILINEAR)
    left, top = (side - inner_width) // 2, (side - inner_height) // 2
    if (inner_width, inner_height) != (side, side):
        square = Image.new("RGB", (side, side), fit.fill)
        square.paste(image, (left, top))
        image = square
    scale_x, scale_y = inner_width / width, inner_height / height
    placement = Placement(scale_x, scale_y, left - cut_x * scale_x, top - cut_y * scale_y)
    return np.asarray(image), placement


def _covered(start: float, length: float, side: int) -> slice:
    return slice(max(0, round(start)), min(side, max(0, round(start + length))))
