"""The features of all slides of a training, read from their files as they are needed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import TrainingError
from wsi_pipeline.features.bag import BagFile, EncoderMark, TileMark
from wsi_pipeline.features.bag_files import open_bag
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.slide.resolution import agree
from wsi_pipeline.training.run import Observer
from wsi_pipeline.training.slides.table import LabelledSlide

#: Bytes of features that are kept, so that a later epoch reads no file.
_KEPT_BYTES = 2**31
#: Decimals of a spacing that are kept.
_DIGITS = 6


class Bags:
    """Features by the number of a slide.

    Memory: 2 GiB of features at most, and those of one slide more.

    Args:
        files: Of every slide; at least one, all with as many numbers of a tile.
        sha256: Of every file (hex).

    Attributes:
        features: Numbers of a tile.
        sha256: Of every file (hex).
        tiles: How tiles are cut, as far as files say; the median of their spacings.
    """

    def __init__(self, files: Sequence[BagFile], sha256: Sequence[str]) -> None:
        self.features, self.sha256 = files[0].features, tuple(sha256)
        self.tiles = _tiles_of(files)
        self._files = tuple(files)
        self._kept: dict[int, NDArray[np.float32]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """float32 ``(n, features)`` of a slide.

        Raises:
            TrainingError: it cannot be read any more.
        """
        known = self._kept.get(index)
        if known is not None:
            return known
        found = self._files[index].read().features
        if self._bytes + found.nbytes <= _KEPT_BYTES:
            self._kept[index] = found
            self._bytes += found.nbytes
        return found


def open_bags(
    slides: Sequence[LabelledSlide],
    observer: Observer,
    *,
    encoder: ModelPackage | None = None,
    skip_bad: bool = False,
) -> tuple[Bags, list[int]]:
    """Look at the features of every slide.

    Args:
        slides: All of them.
        observer: Is told.
        encoder: What made them; None: they have to be of one encoder, whichever it is.
        skip_bad: Leave out slides that cannot be used, and say so.

    Returns:
        The features, and which slides they are of.

    Raises:
        TrainingError: a slide cannot be used, or its tiles are cut otherwise than others.
    """
    observer.stage("checking features", len(slides))
    good: list[int] = []
    digests: list[str] = []
    files: list[BagFile] = []
    known = None if encoder is None else EncoderMark(encoder.description.name, encoder.sha256)
    for index, slide in enumerate(slides):
        try:
            file = _opened(slide)
            _check(file, files[0] if files else None, known)
            _check_tiles(file, files, encoder)
            digests.append(file.sha256())
            files.append(file)
            good.append(index)
        except TrainingError as error:
            if not skip_bad:
                raise
            observer.says(f"left out: {error}")
        observer.advanced(1)
    if not files:
        raise TrainingError(slides[0].features.parent, "no slide has features that can be used")
    return Bags(files, digests), good


def _opened(slide: LabelledSlide) -> BagFile:
    if not slide.features.exists():
        raise TrainingError(
            slide.features,
            f"the features of {slide.name} are missing; make them with wsi features, or say with "
            "--features where they are",
        )
    return open_bag(slide.features)


def _check(file: BagFile, first: BagFile | None, encoder: EncoderMark | None) -> None:
    """Hold features to those before them, and to the encoder that is to compute them later.

    Raises:
        TrainingError: they are of another encoder.
    """
    if first is not None and file.features != first.features:
        raise TrainingError(
            file.path,
            f"has {file.features:,} numbers of a tile, {first.path.name} has {first.features:,}; "
            "one encoder has to make them all",
        )
    if first is not None and file.encoder.differs(first.encoder):
        raise TrainingError(
            file.path,
            f"was made by {file.encoder}, {first.path.name} by {first.encoder}; one encoder has to "
            "make them all",
        )
    # Other programs have other names for an encoder: only the package's hash tells.
    if encoder is not None and file.encoder.sha256 not in ("", encoder.sha256):
        raise TrainingError(
            file.path,
            f"was made by {file.encoder}, and --encoder is {encoder}; name the package that made "
            "the features, or make them again with wsi features",
        )


def _check_tiles(file: BagFile, earlier: Sequence[BagFile], encoder: ModelPackage | None) -> None:
    """Hold the tiles of features to those before them, and to what the encoder takes.

    Raises:
        TrainingError: they are of another size or spacing.
    """
    patch, mpp = file.tiles.patch_px, file.tiles.mpp
    takes = None if encoder is None else encoder.description.tile_px
    if encoder is not None and patch not in (None, takes):
        raise TrainingError(
            file.path,
            f"has tiles of {patch} px, and --encoder {encoder.name} takes {takes} px; make the "
            "features with wsi features and this encoder",
        )
    for one in earlier:
        if None not in (patch, one.tiles.patch_px) and patch != one.tiles.patch_px:
            raise TrainingError(
                file.path,
                f"has tiles of {patch} px, {one.path.name} of {one.tiles.patch_px} px; all need "
                "tiles of one size",
            )
        if mpp is not None and one.tiles.mpp is not None and not agree(mpp, one.tiles.mpp):
            raise TrainingError(
                file.path,
                f"has tiles of {mpp:.3g} µm/px, {one.path.name} of {one.tiles.mpp:.3g} µm/px; make "
                "all with one --mpp",
            )


def _tiles_of(files: Sequence[BagFile]) -> TileMark:
    sides = [one.tiles.patch_px for one in files if one.tiles.patch_px is not None]
    spacings = [one.tiles.mpp for one in files if one.tiles.mpp is not None]
    mpp = round(float(np.median(spacings)), _DIGITS) if spacings else None
    return TileMark(sides[0] if sides else None, mpp)
