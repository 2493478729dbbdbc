"""What a worker process keeps between the regions of a slide."""

import threading
from dataclasses import dataclass
from pathlib import Path

from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.tiles.kept_patches import KeptPatches


@dataclass(slots=True)
class _Held:
    """A slide that regions read, and how many bytes they have told of."""

    reader: SlideReader
    told: int


class Resources:
    """What a worker process keeps between regions beside the model: the last few slides.

    Also patches that this process has read before, where it is the one that plans.
    """

    _SLIDES = 4

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slides: dict[Path, _Held] = {}
        self._stopped: set[str] = set()
        self._lent: dict[str, KeptPatches] = {}

    def reader(self, path: Path) -> SlideReader:
        """The open slide at ``path``."""
        with self._lock:
            slide = self._slides.pop(path, None) or _Held(open_slide(path), 0)
            self._keep(path, slide)
            return slide.reader

    def hold(self, path: Path, reader: SlideReader) -> None:
        """Let the regions of this process read a slide that is open already.

        What it knows of its levels and holds decoded is then of use to them.
        """
        with self._lock:
            self._keep(path, _Held(reader, reader.bytes_read))

    def newly_read(self, path: Path) -> int:
        """Bytes fetched from a slide since this was asked last."""
        with self._lock:
            slide = self._slides.get(path)
            if slide is None:
                return 0
            before, slide.told = slide.told, slide.reader.bytes_read
            return slide.told - before

    def forget(self, path: Path) -> None:
        """Let go of a slide."""
        with self._lock:
            self._slides.pop(path, None)

    def _keep(self, path: Path, slide: _Held) -> None:
        self._slides[path] = slide
        while len(self._slides) > self._SLIDES:
            # Not closed: a region may still read it. It is freed with its last user.
            self._slides.pop(next(iter(self._slides)))

    def lend(self, key: str, patches: KeptPatches | None) -> None:
        """Give patches to the regions of ``key`` in this process, until they are stopped."""
        if patches is not None:
            self._lent[key] = patches

    def lent(self, key: str) -> KeptPatches | None:
        """What was lent to the regions of ``key``; None in any other process."""
        return self._lent.get(key)

    def stop(self, key: str) -> None:
        """Make the regions of ``key`` in this process stop at their next batch."""
        self._stopped.add(key)
        self._lent.pop(key, None)

    def is_stopped(self, key: str) -> bool:
        """Whether :meth:`stop` was called for ``key``."""
        return key in self._stopped


#: Of this process. A Dask task has no other place to keep a slide from one call to the next.
RESOURCES = Resources()
