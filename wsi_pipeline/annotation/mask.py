"""Truth painted as a mask."""

import os
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.annotation.groups import TUMOUR
from wsi_pipeline.annotation.mask_file import (
    CLASS_NAMES,
    MaskFile,
    MaskLevel,
    is_padded,
    level_factor,
    open_mask,
)
from wsi_pipeline.annotation.truth import TruthKind
from wsi_pipeline.errors import AnnotationError
from wsi_pipeline.geometry import PerAxis, Size

#: Values a mask of each kind may hold beside 0. CAMELYON16's release has 1 for other tissue.
_ALLOWED: dict[str, tuple[int, ...]] = {"mask-255": (255,), "mask-2": (1, 2), "mask-1": (1,)}


class MaskTruth:
    """A :class:`~wsi_pipeline.annotation.truth.Truth` of a mask TIFF.

    Safe to share between threads and to pickle; keeps no file open. Memory bound: one block of
    the file, plus what a call returns.

    Args:
        path: The file.
        kind: Which value is tumour.
        size: The slide's level 0, px; None: see :func:`~wsi_pipeline.annotation.open_truth`.
        value: Of a mask of several classes, the number of the one that is meant; None: tumour's.

    Raises:
        AnnotationError: it is no mask, or of another size than any level of the slide.
    """

    def __init__(
        self, path: Path, kind: TruthKind, size: Size | None = None, *, value: int | None = None
    ) -> None:
        self._path, self._kind, self._size = path, kind, size
        self._file = open_mask(path)
        if kind == "mask-classes":
            self._value = self._number_of_tumour() if value is None else value
            self._allowed = tuple(range(1, len(self._file.classes)))
        else:
            self._value, self._allowed = int(kind.removeprefix("mask-")), _ALLOWED[kind]
        self._check_statement()
        self._base = _base_factor(self._file, size)

    def __reduce__(self) -> tuple[partial["MaskTruth"], tuple[Path, TruthKind, Size | None]]:
        """Pickle by what it was opened with: a decoder cannot travel."""
        again = partial(type(self), value=self._value)
        return again, (self._path, self._kind, self._size)

    @property
    def kind(self) -> TruthKind:
        """Which value is tumour."""
        return self._kind

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing of a mask is ever left out."""
        return ()

    @cached_property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """See :attr:`Truth.bounds`; from every block of the finest level, once.

        Raises:
            AnnotationError: a block cannot be decoded, or holds a value the kind does not have.
        """
        level = self._file.levels[0]
        found = np.array([np.inf, np.inf, -np.inf, -np.inf])
        with _opened(self._path) as descriptor:
            for row in range(level.rows):
                for column in range(level.columns):
                    tumour = self._tumour(level, descriptor, column, row)
                    if tumour is False:
                        continue
                    x, y = column * level.block.width, row * level.block.height
                    if tumour is True:
                        right = min(x + level.block.width, level.size.width)
                        bottom = min(y + level.block.height, level.size.height)
                        box = (x, y, right, bottom)
                    else:
                        across = np.flatnonzero(tumour.any(axis=0))
                        if not len(across):
                            continue
                        down = np.flatnonzero(tumour.any(axis=1))
                        box = (x + across[0], y + down[0], x + across[-1] + 1, y + down[-1] + 1)
                    found[:2] = np.minimum(found[:2], box[:2])
                    found[2:] = np.maximum(found[2:], box[2:])
        if not np.isfinite(found).all():
            return None
        left, top, right, bottom = (found * self._base).tolist()
        return left, top, right, bottom

    def window(
        self, x: float, y: float, width: int, height: int, downsample: float | PerAxis
    ) -> NDArray[np.bool_]:
        """See :meth:`Truth.window`; from the coarsest level that is as fine as the window.

        Raises:
            AnnotationError: a block cannot be decoded, or holds a value the kind does not have.
        """
        px_0 = PerAxis.of(downsample)
        level = self._level(min(px_0.x, px_0.y))
        factor = level.downsample * self._base
        # Level px that hold the centres of the window's columns and rows.
        across = np.floor((x + (np.arange(width) + 0.5) * px_0.x) / factor).astype(np.int64)
        down = np.floor((y + (np.arange(height) + 0.5) * px_0.y) / factor).astype(np.int64)
        out = np.zeros((height, width), np.bool_)
        columns = _runs(across, level.size.width, level.block.width)
        with _opened(self._path) as descriptor:
            for row, rows in _runs(down, level.size.height, level.block.height):
                for column, cols in columns:
                    tumour = self._tumour(level, descriptor, column, row)
                    if tumour is False:
                        continue
                    if tumour is True:
                        out[rows, cols] = True
                    else:
                        ys = down[rows] - row * level.block.height
                        xs = across[cols] - column * level.block.width
                        out[rows, cols] = tumour[np.ix_(ys, xs)]
        return out

    def _level(self, downsample: float) -> MaskLevel:
        fine = [
            level
            for level in self._file.levels
            if level.downsample * self._base <= downsample * (1 + 1e-6)
        ]
        return fine[-1] if fine else self._file.levels[0]

    def _tumour(
        self, level: MaskLevel, descriptor: int, column: int, row: int
    ) -> NDArray[np.bool_] | bool:
        block = level.read(descriptor, column, row)
        if isinstance(block, int):
            self._check_values(block)
            return block == self._value
        self._check_values(*np.unique(block).tolist())
        return np.asarray(block == self._value)

    def _check_values(self, *values: int) -> None:
        others = sorted(value for value in values if value and value not in self._allowed)
        if others:
            raise AnnotationError(
                self._path,
                f"holds px of the value {', '.join(map(str, others))}, but was declared a mask "
                f"whose tumour is {self._value}; declare what it is (--mask-value)",
            )

    def _number_of_tumour(self) -> int:
        names = [name.casefold() for name in self._file.classes]
        found = next((number for number, name in enumerate(names) if name in TUMOUR), None)
        if found is None:
            raise AnnotationError(
                self._path,
                "does not name its classes, or none of them is tumour; a mask of classes says "
                f'{{"{CLASS_NAMES}": ["normal", "tumour", …]}} in its image description',
            )
        return found

    def _check_statement(self) -> None:
        stated = (self._file.statement or {}).get("value", self._value)
        if stated != self._value:
            raise AnnotationError(
                self._path,
                f"says that its tumour is {stated}, but was declared a mask whose tumour is "
                f"{self._value} (--mask-value)",
            )


class _opened:  # noqa: N801 - reads as the function it stands for
    """A file descriptor for a while."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise AnnotationError(self._path, f"cannot be read: {error.strerror}") from error
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _runs(positions: NDArray[np.int64], length: int, block: int) -> list[tuple[int, slice]]:
    """Blocks that ascending positions fall into, each with the positions that do.

    Positions outside ``0 … length - 1`` are left out.
    """
    first, last = np.searchsorted(positions, [0, length])
    if first == last:
        return []
    blocks = positions[first:last] // block
    starts = np.flatnonzero(np.diff(blocks, prepend=blocks[0] - 1)) + first
    ends = [*starts[1:].tolist(), int(last)]
    return [
        (int(positions[start] // block), slice(int(start), end))
        for start, end in zip(starts, ends, strict=True)
    ]


def _base_factor(file: MaskFile, size: Size | None) -> float:
    """Level-0 px per px of the mask's finest level."""
    finest = file.levels[0].size
    statement: dict[str, Any] = file.statement or {}
    factor = _stated_factor(statement)
    if factor is not None:
        stated = Size(*statement["level_0"])
        if size is not None and size != stated:
            raise AnnotationError(
                file.path,
                f"was drawn for a slide of {stated} px, not of {size}; is it of another slide?",
            )
        return factor
    if size is None or _same(size, finest):
        return 1.0
    factor = level_factor(size, finest)
    if factor is None or factor < 2:
        raise AnnotationError(
            file.path,
            f"has {finest} px, which is no level of a slide of {size} px; is it of another slide?",
        )
    return factor


def _same(slide: Size, mask: Size) -> bool:
    """Whether one is the other, or the other padded to whole tiles."""
    pairs = ((slide.width, mask.width), (slide.height, mask.height))
    return all(is_padded(a, b) for a, b in pairs) or all(is_padded(b, a) for a, b in pairs)


def _stated_factor(statement: dict[str, Any]) -> float | None:
    factor, level_0 = statement.get("downsample"), statement.get("level_0")
    if not isinstance(factor, int | float) or factor < 1:
        return None
    return float(factor) if isinstance(level_0, list) and len(level_0) == 2 else None
