"""From a scene to encoded pyramid tiles, block by block on two threads, all levels in one pass."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from wsi_pipeline.synth.atlas import Rgb, Texture
from wsi_pipeline.synth.encode import Gray, TileEncoder, halve
from wsi_pipeline.synth.planting import CLASSES
from wsi_pipeline.synth.scene import CHUNK, Scene

#: Side in level-0 px of the squares drawn at a time.
BLOCK = 2048
#: Levels finished inside a block; the level after them is gathered whole in memory.
INNER = 3
#: Blocks drawn at the same time.
THREADS = 2

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` in level-0 px, from the thread that writes."""


Shares = Mapping[int, Gray]
"""By index, the share of each class that is planted in an image: uint8 (h, w), 0-255."""

_TUMOUR = CLASSES.index("tumour")


@dataclass(eq=False)
class _Block:
    """One block's share of every level: tiles by level, row-major, and the first outer level."""

    tiles: list[list[list[bytes]]] = field(default_factory=list)
    truth: list[list[list[bytes]]] = field(default_factory=list)
    classes: list[list[list[bytes]]] = field(default_factory=list)
    rest: Rgb | None = None
    rest_shares: Shares = field(default_factory=dict)
    class_px: dict[int, int] = field(default_factory=dict)


class Pyramid:
    """Draws a scene once and hands out the tiles of every level.

    Take all of :meth:`finest` first; then :meth:`tiles` and :meth:`truth` have the rest.

    Memory bound: a few blocks of 2048² px, the encoded tiles of one row of blocks and of all
    levels but the finest, and one px in 64 of the slide.

    Attributes:
        class_px: By class index, level-0 px drawn so far of what is planted.
    """

    def __init__(self, scene: Scene, progress: Progress | None = None) -> None:
        self._scene = scene
        self._progress = progress
        spec = scene.spec
        self.sizes = spec.level_sizes
        self._encoder = TileEncoder(spec.tile, spec.quality, scene.glass)
        self._tiles: list[list[bytes]] = [[] for _ in self.sizes]
        self._truth: list[list[bytes]] = [[] for _ in self.sizes]
        self._classes: list[list[bytes]] = [[] for _ in self.sizes]
        # Kept even where no level needs it: the overview is made from it.
        shape = (spec.size.height >> INNER, spec.size.width >> INNER)
        self._rest: Rgb = np.empty((*shape, 3), np.uint8)
        kinds = [CLASSES.index(kind) for kind, shapes in scene.planted.items() if shapes]
        self._rest_shares = {index: np.zeros(shape, np.uint8) for index in kinds}
        self.class_px = dict.fromkeys(kinds, 0)

    def finest(self) -> Iterator[bytes]:
        """Draw the slide and yield level 0's tiles, row by row from the top left."""
        size = self.sizes[0]
        corners = [
            (x, y) for y in range(0, size.height, BLOCK) for x in range(0, size.width, BLOCK)
        ]
        across = -(-size.width // BLOCK)
        band: list[_Block] = []
        done = 0
        for (x, y), block in zip(corners, self._blocks(corners), strict=True):
            self._keep(block, x, y)
            band.append(block)
            done += min(BLOCK, size.width - x) * min(BLOCK, size.height - y)
            if self._progress is not None:
                self._progress(done, size.area)
            if len(band) < across:
                continue
            # Everything is put away first: the writer never asks beyond the last tile.
            line = self._close(band)
            band = []
            if done == size.area:
                self._finish()
            yield from line

    def tiles(self, level: int) -> list[bytes]:
        """The encoded tiles of a level from 1, row by row."""
        return self._tiles[level]

    def truth(self, level: int) -> list[bytes]:
        """The encoded tiles of the tumour's truth of any level, row by row."""
        return self._truth[level]

    def classes(self, level: int) -> list[bytes]:
        """The encoded tiles of the mask of classes of any level, row by row."""
        return self._classes[level]

    def overview(self) -> Rgb:
        """A small picture of the slide of at most 1,024 px: uint8 (h, w, 3)."""
        image = self._rest
        while max(image.shape) > 1024:
            image = halve(image)
        return image

    def _blocks(self, corners: list[tuple[int, int]]) -> Iterator[_Block]:
        """Draw blocks in order, a few ahead of the writer."""
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="synth")
        waiting: deque[Future[_Block]] = deque()
        try:
            for x, y in corners:
                waiting.append(pool.submit(self._draw, x, y))
                if len(waiting) > 2 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self, x: int, y: int) -> _Block:
        """Draw and encode one block."""
        scene, block = self._scene, _Block()
        width = min(BLOCK, self.sizes[0].width - x)
        height = min(BLOCK, self.sizes[0].height - y)
        plain = scene.plain(x, y, width, height)
        image: Rgb | None = None
        shares: Shares = {}
        if not plain.all():
            window = scene.render(x, y, width, height)
            image, shares = window.image, _shares(window.classes)
            block.class_px = {index: int(np.count_nonzero(s)) for index, s in shares.items()}
        for level in range(min(INNER, len(self.sizes))):
            size = (width >> level, height >> level)
            corner = (x >> level, y >> level)
            if min(size) < 1:
                block.tiles.append([])
                block.truth.append([])
                block.classes.append([])
                continue
            block.tiles.append(self._cut(image, plain, level, corner, size))
            block.truth.append(self._cut_truth(shares, size))
            block.classes.append(self._cut_classes(shares, size))
            image, shares = _next(image), _next_shares(shares)
        if min(width, height) >> INNER:
            for _ in range(len(block.tiles), INNER):  # a pyramid of fewer levels
                image, shares = _next(image), _next_shares(shares)
            if image is None:
                image = self._glass(x >> INNER, y >> INNER, width >> INNER, height >> INNER)
            block.rest, block.rest_shares = image, shares
        return block

    def _glass(self, x: int, y: int, width: int, height: int) -> Rgb:
        """Empty glass at the first outer level."""
        image = self._scene.glass.image
        for _ in range(INNER):
            image = halve(image)
        out = np.empty((height, width, 3), np.uint8)
        Texture(image).copy_to(out, x, y)
        return out

    def _cut(
        self,
        image: Rgb | None,
        plain: npt.NDArray[np.bool_] | None,
        level: int,
        corner: tuple[int, int],
        size: tuple[int, int],
    ) -> list[list[bytes]]:
        """Encode one level of a block; ``image`` is ``None`` for a block of glass."""
        tile = self._encoder.tile
        rows: list[list[bytes]] = []
        chunks = max(1, (tile << level) // CHUNK)
        for i, top in enumerate(range(0, size[1], tile)):
            rows.append([])
            for j, left in enumerate(range(0, size[0], tile)):
                rows_under = slice(i * chunks, (i + 1) * chunks)
                columns_under = slice(j * chunks, (j + 1) * chunks)
                glass = plain is not None and bool(plain[rows_under, columns_under].all())
                if image is None or glass:
                    column, row = (corner[0] + left) // tile, (corner[1] + top) // tile
                    rows[-1].append(self._encoder.plain(level, column, row))
                else:
                    part = image[top : top + tile, left : left + tile]
                    rows[-1].append(self._encoder.pixels(part))
        return rows

    def _cut_truth(self, shares: Shares, size: tuple[int, int]) -> list[list[bytes]]:
        """Encode one level of a block's truth about the tumour."""
        return [
            [self._encoder.truth(part.get(_TUMOUR)) for part in row]
            for row in _parts(shares, size, self._encoder.tile)
        ]

    def _cut_classes(self, shares: Shares, size: tuple[int, int]) -> list[list[bytes]]:
        """Encode one level of a block's mask of classes; a slide of tumour alone has none."""
        if not self._scene.spec.plants:
            return []
        return [
            [self._encoder.classes(part) for part in row]
            for row in _parts(shares, size, self._encoder.tile)
        ]

    def _keep(self, block: _Block, x: int, y: int) -> None:
        """Put what a block leaves for the outer levels into its place."""
        for index, count in block.class_px.items():
            self.class_px[index] += count
        if block.rest is None:
            return
        height, width = block.rest.shape[:2]
        rows = slice(y >> INNER, (y >> INNER) + height)
        columns = slice(x >> INNER, (x >> INNER) + width)
        self._rest[rows, columns] = block.rest
        for index, share in block.rest_shares.items():
            self._rest_shares[index][rows, columns] = share

    def _close(self, band: list[_Block]) -> list[bytes]:
        """Keep a finished row of blocks, and return its tiles of level 0."""
        finest: list[bytes] = []
        for level in range(min(INNER, len(self.sizes))):
            for store, parts in (
                (self._tiles, [block.tiles[level] for block in band]),
                (self._truth, [block.truth[level] for block in band]),
                (self._classes, [block.classes[level] for block in band]),
            ):
                for row in range(max(len(part) for part in parts)):
                    line = [tile for part in parts if part for tile in part[row]]
                    if level == 0 and store is self._tiles:
                        finest += line
                    else:
                        store[level] += line
        return finest

    def _finish(self) -> None:
        """Encode the outer levels."""
        image: Rgb | None = self._rest
        shares: Shares = self._rest_shares
        for level in range(INNER, len(self.sizes)):
            size = (self.sizes[level].width, self.sizes[level].height)
            rows = self._cut(image, None, level, (0, 0), size)
            self._tiles[level] = list(chain.from_iterable(rows))
            self._truth[level] = list(chain.from_iterable(self._cut_truth(shares, size)))
            self._classes[level] = list(chain.from_iterable(self._cut_classes(shares, size)))
            image, shares = _next(image), _next_shares(shares)


def _next(image: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.uint8] | None:
    """The next level, or ``None`` where there is nothing to halve."""
    return None if image is None or min(image.shape[:2]) < 2 else halve(image)


def _shares(classes: npt.NDArray[np.uint8] | None) -> Shares:
    """The shares of a window's classes; at level 0 they are 0 or 255."""
    if classes is None:
        return {}
    return {
        index: np.where(classes == index, np.uint8(255), np.uint8(0))
        for index in np.unique(classes).tolist()
        if index
    }


def _next_shares(shares: Shares) -> Shares:
    """The next level of every share; none where there is nothing to halve."""
    halved = {index: _next(share) for index, share in shares.items()}
    return {index: share for index, share in halved.items() if share is not None}


def _parts(shares: Shares, size: tuple[int, int], tile: int) -> list[list[Shares]]:
    """Cut shares of an image of this width and height into tiles, row by row."""
    return [
        [
            {index: share[top : top + tile, left : left + tile] for index, share in shares.items()}
            for left in range(0, size[0], tile)
        ]
        for top in range(0, size[1], tile)
    ]
