"""Which images a model was made from: an answer for one of those says little of new images.

A package keeps the beginnings of the SHA-256 of their files. So the very files are found again,
under whatever name; copies in another format or compression are not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.package import SEEN, ModelPackage
from wsi_pipeline.model.pinning import write_npz

#: Hexadecimal digits that are kept, 64 bits: of 40,000 images and as many others two are taken for
#: the same by chance once in ten thousand million collections.
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Seen:
    """Images of a run that the model was made from.

    Attributes:
        train: How many of them it was trained on.
        validation: How many of them its epoch, threshold and prediction sets were chosen on.
    """

    train: int
    validation: int

    def __str__(self) -> str:
        """What a person has to know; empty where there is nothing."""
        parts = []
        if self.train:
            parts.append(f"{self.train:,} that the model was trained on")
        if self.validation:
            parts.append(f"{self.validation:,} that its threshold and prediction sets come from")
        if not parts:
            return ""
        return (
            f"among these images are {' and '.join(parts)}: figures of them are better than those "
            "of new images"
        )


def seen_of(package: ModelPackage, files: Iterable[str]) -> Seen | None:
    """How many images of a run the model was made from; None where the package does not say.

    Args:
        package: The model.
        files: SHA-256 (hex) of the images' files, each as often as it is in the run.

    Raises:
        PackageError: what it keeps cannot be read.
    """
    kept = package.seen()
    if kept is None:
        return None
    given = _numbers(files)
    train = np.isin(given, kept["train"])
    validation = np.isin(given, kept["validation"]) & ~train
    return Seen(int(train.sum()), int(validation.sum()))


def write_seen(folder: Path, train: Sequence[str], validation: Sequence[str]) -> None:
    """Keep in the folder of a package that is being made which images it is made from.

    Args:
        folder: Before its files are pinned.
        train: SHA-256 (hex) of the files of the training images.
        validation: The same of the validation images.
    """
    write_npz(
        folder / SEEN, train=np.unique(_numbers(train)), validation=np.unique(_numbers(validation))
    )


def _numbers(files: Iterable[str]) -> NDArray[np.uint64]:
    return np.array([int(one[:_DIGITS], 16) for one in files], np.uint64)
