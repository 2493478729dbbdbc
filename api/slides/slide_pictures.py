"""Tiles and thumbnails of slides, encoded, made on worker threads and kept for who asks next."""

import asyncio
import functools
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import TypeVar, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from api.problems import GONE, UNAVAILABLE, ApiError, kind_of
from api.slides.links import Links
from api.slides.open_slides import OpenSlides
from api.slides.picture_cache import InFlight, PictureCache
from api.slides.ready_slides import ReadySlides
from api.slides.region_picture import Area, read_area, with_holes
from wsi_pipeline.errors import SlideError
from wsi_pipeline.service.slides import Slide
from wsi_pipeline.storage import Storage

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Encoded pictures kept: some 1,000 tiles.
RENDERED_BYTES = 64 * 2**20
#: Raised when the same part of the same slide would come out as other px.
RENDERING = 1
_JPEG_QUALITY = 82
#: Level 1 takes half the time of the default, 6, for a tenth more bytes.
_PNG_LEVEL = 1
#: Slides opened, or fetched from an object store, at the same time.
_OPENING = 4
#: More threads than this only wait for each other.
_MOST_DECODING = 16


class ImageFormat(StrEnum):
    """How a picture is encoded."""

    JPEG = "jpeg"
    PNG = "png"

    @property
    def media_type(self) -> str:
        """As in ``Content-Type``."""
        return f"image/{self}"


def encode(pixels: NDArray[np.uint8], image_format: ImageFormat) -> bytes:
    """Encode px, ``(height, width, 3)`` RGB; nothing but px is written."""
    whole = np.ascontiguousarray(pixels)
    if image_format is ImageFormat.PNG:
        return bytes(imagecodecs.png_encode(whole, level=_PNG_LEVEL))
    return bytes(imagecodecs.jpeg8_encode(whole, level=_JPEG_QUALITY, subsampling="420"))


class SlidePictures:
    """Pictures of slides. For one event loop, which it never blocks.

    Memory bound: that of :class:`OpenSlides` and :data:`RENDERED_BYTES`, and a few times a picture
    for each of as many threads as there are processors.

    Args:
        known: Looks slides up.
        storage: Where slides lie.
        open_slides: How many stay open.
        cache: Folder for copies of slides that do not lie on this host.
        links: Find the slides that are read where they lie.

    Attributes:
        known: As given.
    """

    def __init__(
        self, known: ReadySlides, storage: Storage, open_slides: int, cache: Path, links: Links
    ) -> None:
        self.known = known
        self._slides = OpenSlides(storage, open_slides, cache, links)
        self._rendered = PictureCache(RENDERED_BYTES)
        self._preparing = InFlight[None]()
        threads = min(_MOST_DECODING, max(2, len(os.sched_getaffinity(0))))
        self._decoding = ThreadPoolExecutor(threads, "tiles")
        # Apart from decoding: a slide on its way from an object store holds up no other slide.
        self._opening = ThreadPoolExecutor(_OPENING, "opening")

    @staticmethod
    async def of(request: Request) -> "SlidePictures":
        """The application's, for routes."""
        return cast("SlidePictures", request.app.state.pictures)

    async def get(
        self, slide: Slide, area: Area, image_format: ImageFormat, *, holes: bool = False
    ) -> bytes:
        """A part of a slide, encoded.

        Args:
            slide: A ready one.
            area: Which part.
            image_format: How to encode it.
            holes: Paint places that cannot be decoded grey, instead of giving up.

        Raises:
            ApiError: part of it cannot be decoded, its file is gone, or cannot be fetched now.
        """
        key = (slide.sha256, slide.location, area, image_format, holes)
        draw = functools.partial(self._draw, slide, area, image_format, holes=holes)

        async def prepare() -> None:
            work = functools.partial(self._slides.prepare, slide, area)
            await self._run(self._opening, slide, work)

        async def make() -> bytes:
            for _ in range(2):  # opened for another area, it may still lack an overview
                if self._slides.is_prepared(slide, area):
                    break
                await self._preparing.get(slide.location, prepare)
            return await self._run(self._decoding, slide, draw)

        return await self._rendered.get(key, make)

    def forget(self, slide: Slide) -> None:
        """Keep nothing of a slide that was deleted."""
        self.known.forget(slide)
        self._slides.forget(slide)
        self._rendered.clear()

    def close(self) -> None:
        """Close the slides; pictures being made are finished, what waits is not begun."""
        for pool in (self._opening, self._decoding):
            pool.shutdown(cancel_futures=True)
        self._slides.close()

    def _draw(self, slide: Slide, area: Area, image_format: ImageFormat, *, holes: bool) -> bytes:
        with self._slides.borrow(slide) as opened:
            rasters = opened.rasters
            if holes:
                rasters = tuple(with_holes(raster) for raster in rasters)
            return encode(read_area(rasters, area), image_format)

    async def _run(self, pool: ThreadPoolExecutor, slide: Slide, work: Callable[[], T]) -> T:
        """Do work on a thread; errors come without paths, which may hold a patient's name."""
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except FileNotFoundError:
            log.warning("a slide's file is gone", extra={"facts": {"slide_id": slide.id}})
            raise ApiError(GONE, f"the file of slide {slide.id} does not exist any more") from None
        except OSError as error:
            facts = {"slide_id": slide.id, "errno": error.errno}
            log.warning("a slide's file cannot be read", extra={"facts": facts})
            detail = f"the file of slide {slide.id} cannot be reached; try again"
            raise ApiError(UNAVAILABLE, detail) from None
        except SlideError as error:
            facts = {"slide_id": slide.id, "error": type(error).__name__}
            log.warning("part of a slide cannot be decoded", extra={"facts": facts})
            detail = "this part of the slide cannot be decoded; the file is damaged there"
            raise ApiError(kind_of(error), detail) from None
