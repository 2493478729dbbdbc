"""The features of all slides of a training, read from their files as they are needed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import TrainingError
from wsi_pipeline.slide_level.attention.bag import bag_shape, read_bag
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.slides.table import LabelledSlide

#: Bytes of features that are kept, so that a later epoch reads no file.
_KEPT_BYTES = 2**31
_AT_ONCE = 2**20


class Bags:
    """Features by the number of a slide.

    Memory: 2 GiB of features at most, and those of one slide more.

    Args:
        paths: Of every slide.
        features: Numbers of a tile, the same in all.
        sha256: Of every file (hex).
    """

    def __init__(self, paths: Sequence[Path], features: int, sha256: Sequence[str]) -> None:
        self.features, self.sha256 = features, tuple(sha256)
        self._paths = tuple(paths)
        self._kept: dict[int, NDArray[np.float32]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """float32 ``(n, features)`` of a slide.

        Raises:
            TrainingError: it cannot be read any more.
        """
        known = self._kept.get(index)
        if known is not None:
            return known
        found = read_bag(self._paths[index]).features
        if self._bytes + found.nbytes <= _KEPT_BYTES:
            self._kept[index] = found
            self._bytes += found.nbytes
        return found


def open_bags(
    slides: Sequence[LabelledSlide], observer: Observer, *, skip_bad: bool = False
) -> tuple[Bags, list[int]]:
    """Look at the features of every slide.

    Args:
        slides: All of them.
        observer: Is told.
        skip_bad: Leave out slides that cannot be used, and say so.

    Returns:
        The features, and which slides they are of.

    Raises:
        TrainingError: a slide cannot be used.
    """
    observer.stage("checking features", len(slides))
    good: list[int] = []
    digests: list[str] = []
    width: int | None = None
    for index, slide in enumerate(slides):
        try:
            width = _width(slide, width)
            digests.append(_sha256(slide.features))
            good.append(index)
        except TrainingError as error:
            if not skip_bad:
                raise
            observer.says(f"left out: {error}")
        observer.advanced(1)
    if width is None:
        raise TrainingError(slides[0].features.parent, "no slide has features that can be used")
    return Bags([slides[index].features for index in good], width, digests), good


def _width(slide: LabelledSlide, expected: int | None) -> int:
    """Numbers of each tile.

    Raises:
        TrainingError: the features are missing, cannot be read, or others are expected.
    """
    if not slide.features.exists():
        raise TrainingError(
            slide.features,
            f"the features of {slide.name} are missing; make them with wsi features, or say with "
            "--features where they are",
        )
    found = bag_shape(slide.features).features
    if expected not in (None, found):
        raise TrainingError(
            slide.features,
            f"has {found:,} numbers of a tile, the slides before it {expected:,}; one encoder has "
            "to make them all",
        )
    return found


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(_AT_ONCE):
                found.update(part)
    except OSError as error:
        raise TrainingError(path, f"cannot be read: {error.strerror or error}") from error
    return found.hexdigest()
