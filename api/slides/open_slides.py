"""Slides kept open between requests: opening one costs more than reading many tiles of it."""

import contextlib
import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

from api.slides.links import Links
from api.slides.region_picture import Area, Raster, overview_of, rasters_of, wants_overview
from wsi_pipeline.errors import DamagedSlideError, SlideError
from wsi_pipeline.service.slides import LINKED, Slide
from wsi_pipeline.slide import DecodedTiles, SlideInfo, SlideReader, open_slide
from wsi_pipeline.storage import Storage

#: Decoded tiles of all open slides together.
DECODED_BYTES = 128 * 2**20


class OpenSlide:
    """One open slide.

    Args:
        reader: Of the slide.
    """

    def __init__(self, reader: SlideReader) -> None:
        self._reader = reader
        self._levels = rasters_of(reader)
        self._overview: Raster | None = None
        self._lock = threading.Lock()

    @property
    def info(self) -> SlideInfo:
        """Facts of the slide."""
        return self._reader.info

    @property
    def rasters(self) -> tuple[Raster, ...]:
        """What pictures of it are made of, finest first."""
        overview = self._overview
        return self._levels if overview is None else (*self._levels, overview)

    def lacks_overview(self, area: Area) -> bool:
        """Whether :meth:`make_overview` should come before a picture of this area."""
        return self._overview is None and wants_overview(self._levels, area)

    def make_overview(self) -> None:
        """Add a level the file lacks; takes as long as reading its coarsest level once.

        Raises:
            DamagedSlideError: part of that level cannot be decoded.
        """
        with self._lock:
            if self._overview is None:
                self._overview = overview_of(self._levels[-1])

    def close(self) -> None:
        """Free the reader."""
        self._reader.close()


class OpenSlides:
    """The slides used last, open; at most ``capacity`` that nobody is using right now.

    A slide is closed when it is the one unused longest and others are wanted, and when reading it
    failed: OpenSlide's handles are useless after their first error, so the next request opens it
    again. It is never closed while somebody reads it. Safe to share between threads.

    Memory bound: :data:`DECODED_BYTES` for all, and an overview of at most 12 MB for each slide
    whose file has no coarse levels.

    Args:
        storage: Where slides lie.
        capacity: How many stay open.
        cache: Folder for copies of slides that do not lie on this host.
        links: Find the slides that are read where they lie.
    """

    def __init__(self, storage: Storage, capacity: int, cache: Path, links: Links) -> None:
        self._storage = storage
        self._capacity = capacity
        self._cache = cache
        self._links = links
        self._decoded = DecodedTiles(DECODED_BYTES)
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    @contextlib.contextmanager
    def borrow(self, slide: Slide) -> Iterator[OpenSlide]:
        """The slide, open until the block ends; opened first if it is not.

        Raises:
            SlideError: it cannot be opened, or is not the slide that was checked.
            OSError: its file is not there or cannot be fetched.
        """
        entry = self._enter(slide)
        try:
            yield entry.opened()
        except (SlideError, OSError):
            self._drop(entry)
            raise
        finally:
            self._leave(entry)

    def is_prepared(self, slide: Slide, area: Area) -> bool:
        """Whether a picture of this area can be read without :meth:`prepare` first."""
        with self._lock:
            entry = self._entries.get(_key(slide))
            return entry is not None and entry.is_open and not entry.opened().lacks_overview(area)

    def prepare(self, slide: Slide, area: Area) -> None:
        """Do what may take long before pictures of this area are read: fetch, open, overview.

        Raises:
            SlideError: as :meth:`borrow`, or too much of the slide cannot be decoded.
            OSError: as :meth:`borrow`.
        """
        with self.borrow(slide) as opened:
            if opened.lacks_overview(area):
                opened.make_overview()

    def forget(self, slide: Slide) -> None:
        """Close a slide as soon as nobody uses it any more."""
        with self._lock:
            entry = self._entries.get(_key(slide))
        if entry is not None:
            self._drop(entry)

    def close(self) -> None:
        """Close all, those in use when they are given back."""
        with self._lock:
            entries = list(self._entries.values())
        for entry in entries:
            self._drop(entry)

    def _enter(self, slide: Slide) -> "_Entry":
        key = _key(slide)
        with self._lock:
            entry = self._entries.get(key)
            is_new = entry is None
            if entry is None:
                entry = self._entries[key] = _Entry(key)
            entry.users += 1
            self._entries.move_to_end(key)
        if is_new:
            # Outside the lock: fetching a slide from an object store may take minutes.
            entry.open_with(lambda: self._open(slide))
            if not entry.is_open:
                self._drop(entry)
        return entry

    def _leave(self, entry: "_Entry") -> None:
        with self._lock:
            entry.users -= 1
            closing = [entry] if entry.is_dropped and entry.users == 0 else []
            unused = [one for one in self._entries.values() if one.users == 0]
            for one in unused[: max(0, len(self._entries) - self._capacity)]:
                del self._entries[one.key]
                closing.append(one)
        for one in closing:
            one.close()

    def _drop(self, entry: "_Entry") -> None:
        with self._lock:
            if self._entries.get(entry.key) is entry:
                del self._entries[entry.key]
            is_last = entry.users == 0 and not entry.is_dropped
            entry.is_dropped = True
        if is_last:
            entry.close()

    def _open(self, slide: Slide) -> OpenSlide:
        path = self._path_of(slide)
        reader = open_slide(path, cache=self._decoded)
        stated = slide.info and slide.info["levels"][0]["size"]
        size = reader.info.size
        if stated and (size.width, size.height) != (stated["width"], stated["height"]):
            reader.close()
            raise DamagedSlideError(path, "is another file than the one that was checked")
        return OpenSlide(reader)

    def _path_of(self, slide: Slide) -> Path:
        location = slide.location or ""
        if location.startswith(LINKED):
            return self._links.linked(location)
        return self._storage.local_path(location, self._cache)


class _Entry:
    """A slide that is open, being opened, or could not be."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.users = 0
        self.is_dropped = False
        self._done = threading.Event()
        self._opened: OpenSlide | None = None
        self._error: Exception | None = None

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def open_with(self, opening: Callable[[], OpenSlide]) -> None:
        try:
            self._opened = opening()
        except Exception as error:  # reaches everybody who waits, in `opened`
            self._error = error
        finally:
            self._done.set()

    def opened(self) -> OpenSlide:
        """The slide, once it is open; each caller gets an error of its own."""
        self._done.wait()
        if self._opened is None:
            assert self._error is not None
            raise copy.copy(self._error)
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()


def _key(slide: Slide) -> str:
    return slide.location or ""
