"""Fields with the boxes of their cells, and cut-outs with what was measured."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from wsi_pipeline.cells.fields import CellRecord
from wsi_pipeline.cells.finder import Kind
from wsi_pipeline.cells.measurements import MeasuredCell
from wsi_pipeline.cells.shapes import Mask

Rgb = tuple[int, int, int]

#: Told apart with colour-blind eyes too (Okabe and Ito 2008), on red cells and on glass.
KIND_COLOURS: dict[Kind, Rgb] = {
    "WBC": (0, 114, 178),
    "RBC": (213, 94, 0),
    "Platelets": (0, 158, 115),
}
#: What is drawn of a measured cell.
SHAPE_COLOURS: dict[str, Rgb] = {
    "cell": (0, 114, 178),
    "nucleus": (240, 228, 66),
    "clefts": (213, 94, 0),
    "holes": (0, 158, 115),
}
#: Widest a drawn field is in the page, px.
PREVIEW_PX = 1000
#: Side of a drawn cut-out, px.
_MEASURED_PX = 240
_LEAST_FONT = 10


def draw_field(pixels: NDArray[np.uint8], cells: Sequence[CellRecord]) -> Image.Image:
    """A field with a box around each cell; white cells with number and class.

    Args:
        pixels: ``(height, width, 3)`` RGB.
        cells: Boxes in px of the field.
    """
    image = Image.fromarray(pixels).copy()
    draw = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 500))
    font = ImageFont.load_default(max(_LEAST_FONT, round(max(image.size) / 45)))
    for cell in cells:
        box, colour = cell.box, KIND_COLOURS[cell.kind]
        # The box's maxima are not included: the last px inside is drawn.
        edges = (box.xmin, box.ymin, max(box.xmin, box.xmax - 1), max(box.ymin, box.ymax - 1))
        draw.rectangle(edges, outline=colour, width=width)
    for cell in cells:  # over all boxes
        if cell.kind == "WBC":
            words = f"{cell.number} {cell.label}" + (" ?" if cell.review else "")
            _write(draw, words.strip(), cell, font, image.size)
    return image


def _write(
    draw: ImageDraw.ImageDraw,
    words: str,
    cell: CellRecord,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    left, top, right, bottom = draw.textbbox((0, 0), words, font=font)
    wide, high = right - left + 6, bottom - top + 6
    x = min(max(0.0, cell.box.xmin), max(0.0, size[0] - wide))
    y = cell.box.ymin - high if cell.box.ymin >= high else min(cell.box.ymax, size[1] - high)
    draw.rectangle((x, y, x + wide, y + high), fill=KIND_COLOURS["WBC"])
    draw.text((x + 3 - left, y + 3 - top), words, fill=(255, 255, 255), font=font)


def draw_measured(pixels: NDArray[np.uint8], measured: MeasuredCell) -> Image.Image:
    """A cell with the outlines of what was measured.

    Args:
        pixels: The field as it was measured, in px of the stains, ``(height, width, 3)``.
        measured: What was found.
    """
    window = pixels[measured.window]
    factor = max(1, round(_MEASURED_PX / max(window.shape[:2])))
    large = np.kron(window, np.ones((factor, factor, 1), np.uint8))
    for name, mask in (
        ("cell", measured.cell),
        ("nucleus", measured.nucleus),
        ("clefts", measured.clefts),
        ("holes", measured.holes),
    ):
        large[_outline(np.kron(mask, np.ones((factor, factor), bool)))] = SHAPE_COLOURS[name]
    return Image.fromarray(large)


def png(image: Image.Image) -> bytes:
    """As a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def preview(image: Image.Image) -> NDArray[np.uint8]:
    """Small enough for a page, ``(height, width, 3)``."""
    small = image.copy()
    small.thumbnail((PREVIEW_PX, PREVIEW_PX))
    return np.asarray(small)


def _outline(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask, iterations=1), np.bool_)
