"""Reading images ahead of whoever computes with them, each as the square that a model takes."""

import hashlib
import os
from collections import deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import ImageError
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.picture import decode_picture, read_content
from wsi_pipeline.images.placement import Intake, Placement

#: Threads that read, at most: each holds one whole image.
_MOST_THREADS = 8


@dataclass(frozen=True, slots=True)
class ReadImage:
    """One image as it was read.

    Attributes:
        image: Which.
        sha256: SHA-256 (hex) of its file; empty where that could not be read.
        square: ``(side, side, 3)`` uint8 RGB; None where the image is known already, or bad.
        placement: Where the image lies in the square.
        pixels: ``(height, width, 3)`` uint8 RGB; None where nobody asked to keep them.
        width: Of the image, in px.
        height: Of the image, in px.
        warnings: What a person should know of how it was read.
        error: Why it cannot be used, with its name; empty if it can.
    """

    image: LabelledImage
    sha256: str = ""
    square: NDArray[np.uint8] | None = None
    placement: Placement | None = None
    pixels: NDArray[np.uint8] | None = None
    width: int = 0
    height: int = 0
    warnings: tuple[str, ...] = ()
    error: str = ""


def read_ahead(
    images: Sequence[LabelledImage],
    side: int,
    intake: Intake,
    *,
    ahead: int,
    known: Container[str] = (),
    keep: bool = False,
) -> Iterator[ReadImage]:
    """The images in their order, read on threads; a bad one is yielded with its error.

    Memory: ``ahead`` squares, and one whole image for each of at most eight threads; or ``ahead``
    whole images where they are kept.

    Args:
        images: Which.
        side: Of the square, in px.
        intake: How an image becomes the square.
        ahead: Images that are read before they are asked for, at least 1.
        known: SHA-256 of files that need not be decoded.
        keep: Whether to keep the px of the image beside the square.
    """
    threads = max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0))))
    waiting: deque[Future[ReadImage]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        try:
            for image in images:
                waiting.append(pool.submit(read_one, image, side, intake, known=known, keep=keep))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops asking does not wait for what nobody wants.
            for future in waiting:
                future.cancel()


def read_one(
    image: LabelledImage,
    side: int,
    intake: Intake,
    *,
    known: Container[str] = (),
    keep: bool = False,
) -> ReadImage:
    """One image as the square of a model; arguments as for :func:`read_ahead`."""
    try:
        content = read_content(image.path)
    except ImageError as error:
        return ReadImage(image, error=str(error))
    return read_bytes(image, content, side, intake, known=known, keep=keep)


def read_bytes(
    image: LabelledImage,
    content: bytes,
    side: int,
    intake: Intake,
    *,
    known: Container[str] = (),
    keep: bool = False,
) -> ReadImage:
    """As :func:`read_one`, of bytes that lie elsewhere; the image's path is only its name."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 in known:
        return ReadImage(image, sha256)
    try:
        picture = decode_picture(content, image.path)
    except ImageError as error:
        return ReadImage(image, sha256, error=str(error))
    square = intake(picture.pixels, side)
    warnings = picture.warnings + ((square.warning,) if square.warning else ())
    return ReadImage(
        image,
        sha256,
        square.pixels,
        square.placement,
        picture.pixels if keep else None,
        picture.width,
        picture.height,
        warnings,
    )
