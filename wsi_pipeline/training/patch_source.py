"""Where patches come from: slides, read as inference reads them; nothing is kept on disk."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.slide import SlideReader, open_slide
from wsi_pipeline.slide.openslide_reader import DecodedTiles
from wsi_pipeline.stain.appearance import StainFit
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.tiles.patches import read_at
from wsi_pipeline.training.candidates import Tiles

#: Decoded tiles of all slides together (bytes).
_CACHE_BYTES = 512 * 2**20
#: Slides held open at once.
_OPEN_SLIDES = 512


class PatchSource(Protocol):
    """Labelled patches by number. Safe to share between threads.

    Attributes:
        units: Names of what patches belong to and may not be split: slides, or images.
    """

    units: tuple[str, ...]

    @property
    def stain(self) -> StainTarget | None:
        """What the stain of every patch is made like; None: it stays as it is."""
        ...

    @property
    def patch_px(self) -> int:
        """Side of a patch."""
        ...

    @property
    def identity(self) -> str:
        """Tells sources of other patches apart."""
        ...

    @property
    def unit(self) -> NDArray[np.int32]:
        """Which unit each patch belongs to, ``(n,)``."""
        ...

    @property
    def classes(self) -> int:
        """How many classes there are."""
        ...

    @property
    def label(self) -> NDArray[np.int64]:
        """Number of each patch's class, ``(n,)``; of two classes 1 is the positive one."""
        ...

    @property
    def steady(self) -> NDArray[np.bool_]:
        """Where moving the patch within the jitter cannot change its label, ``(n,)``."""
        ...

    def read(self, index: int, dx: int = 0, dy: int = 0) -> NDArray[np.uint8]:
        """A patch, ``(patch, patch, 3)`` RGB, moved by ``dx``, ``dy`` analysis px.

        Raises:
            SlideError: it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class SlideTiles:
    """A slide and its candidates.

    Attributes:
        name: Of the slide.
        path: Its file.
        tiles: At each level.
        stain: How it is stained; None where nobody asked.
    """

    name: str
    path: Path
    tiles: tuple[Tiles, ...]
    stain: StainFit | None = None

    @property
    def tumour(self) -> int:
        """How many candidates are tumour."""
        return sum(int(tiles.tumour.sum()) for tiles in self.tiles)

    @property
    def normal(self) -> int:
        """How many candidates are not."""
        return sum(len(tiles.tumour) for tiles in self.tiles) - self.tumour


class SlideSource:
    """A :class:`PatchSource` over slides.

    Memory: some 12 bytes per candidate, and half a GiB of decoded tiles at most.

    Args:
        slides: In the order that numbers their patches.
        per_slide: Most candidates of a slide, a level and a class; None: all.
        seed: Chooses them.
        stain: What the stain of the slides, each of which has a fit, is made like; None: nothing.
    """

    def __init__(
        self,
        slides: Sequence[SlideTiles],
        *,
        per_slide: int | None = None,
        seed: int = 0,
        stain: StainTarget | None = None,
    ) -> None:
        self._stain = stain
        self._stains = tuple(
            stain.of(slide.stain) for slide in slides if stain and slide.stain is not None
        )
        self._recolour = [one.recolouring() for one in self._stains]
        self.units = tuple(slide.name for slide in slides)
        self._paths = tuple(slide.path for slide in slides)
        kept = [
            (number, _thinned(tiles, per_slide, [seed, number, level]))
            for number, slide in enumerate(slides)
            for level, tiles in enumerate(slide.tiles)
        ]
        self._grids = tuple(tiles.grid for _, tiles in kept)
        sizes = [len(tiles.cells) for _, tiles in kept]
        self._group = np.repeat(np.arange(len(kept), dtype=np.int32), sizes)
        self._unit = np.repeat(np.array([n for n, _ in kept], np.int32), sizes)
        self._cells = np.concatenate(
            [np.empty((0, 2), np.int32), *(tiles.cells for _, tiles in kept)]
        )
        tumour = np.concatenate([np.empty(0, bool), *(t.tumour for _, t in kept)])
        self._label = tumour.astype(np.int64)
        self._steady = np.concatenate([np.empty(0, bool), *(t.steady for _, t in kept)])
        self._lock = threading.Lock()
        self._readers: OrderedDict[int, SlideReader] = OrderedDict()
        self._cache = DecodedTiles(_CACHE_BYTES)

    @property
    def patch_px(self) -> int:
        """See :class:`PatchSource`."""
        return self._grids[0].patch

    @property
    def stain(self) -> StainTarget | None:
        """See :class:`PatchSource`."""
        return self._stain

    @property
    def identity(self) -> str:
        """SHA-256 (hex) of grids, cells and stains."""
        found = hashlib.sha256(repr(self._grids).encode())
        if self._stains:
            found.update(repr(self._stains).encode())
        found.update(self._group.tobytes())
        found.update(self._cells.tobytes())
        return found.hexdigest()

    @property
    def unit(self) -> NDArray[np.int32]:
        """See :class:`PatchSource`."""
        return self._unit

    @property
    def classes(self) -> int:
        """Normal and tumour."""
        return 2

    @property
    def label(self) -> NDArray[np.int64]:
        """See :class:`PatchSource`."""
        return self._label

    @property
    def steady(self) -> NDArray[np.bool_]:
        """See :class:`PatchSource`."""
        return self._steady

    def read(self, index: int, dx: int = 0, dy: int = 0) -> NDArray[np.uint8]:
        """See :class:`PatchSource`."""
        grid = self._grids[self._group[index]]
        column, row = (int(value) for value in self._cells[index])
        x, y = grid.corner(column, row)
        reader = self._reader(int(self._unit[index]))
        px = grid.px
        patch = read_at(reader, grid, x + dx * px.x, y + dy * px.y)
        return self._recolour[self._unit[index]](patch) if self._recolour else patch

    def _reader(self, unit: int) -> SlideReader:
        with self._lock:
            reader = self._readers.pop(unit, None)
            if reader is None:
                reader = open_slide(self._paths[unit], cache=self._cache)
            self._readers[unit] = reader
            while len(self._readers) > _OPEN_SLIDES:
                # Not closed: a thread may still read it. It is freed with its last user.
                self._readers.popitem(last=False)
            return reader


def _thinned(tiles: Tiles, most: int | None, seed: list[int]) -> Tiles:
    """At most so many tiles of each class, drawn from a seed; their order stays."""
    if most is None:
        return tiles
    rng = np.random.default_rng(seed)
    keep = np.zeros(len(tiles.cells), bool)
    for label in (False, True):
        members = np.flatnonzero(tiles.tumour == label)
        keep[rng.permutation(members)[:most]] = True
    return tiles.of(keep)
