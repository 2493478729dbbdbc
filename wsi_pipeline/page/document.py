"""A whole page that needs nothing but itself: one HTML file with its style and pictures in it."""

import base64
import io
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.page.markup import text


def document(title: str, body: str) -> str:
    """The page.

    Args:
        title: In plain words.
        body: What is on it, HTML already.
    """
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def data_uri(pixels: NDArray[np.uint8], quality: int = 84) -> str:
    """A picture for a page, as JPEG.

    Args:
        pixels: ``(height, width, 3)`` RGB.
        quality: Of the JPEG, 1-95.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
