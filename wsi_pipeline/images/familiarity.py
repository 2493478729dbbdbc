"""How unlike the training images an image is: a distance, a p-value, and in what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.shift.appearance import patch_appearance
from wsi_pipeline.shift.comparison import FEATURES, Comparison, compare
from wsi_pipeline.shift.statistics import read_statistics

#: Digits that are kept: more would differ between processors.
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Unlikeness:
    """Of one image.

    Attributes:
        distance: Largest distance in proportion to its limit: 1 is the limit.
        p_value: Chance that an image like those held out is as far.
        words: In what it is beyond its limits; empty where it is not unlike the training images.
    """

    distance: float
    p_value: float
    words: str


def unlike_in_words(unlike: int, compared: int) -> str:
    """How many of the images that were compared are unlike the training images, in words."""
    of = f"{unlike:,} of {compared:,} {'image' if compared == 1 else 'images'}"
    return f"{of} {'is' if unlike == 1 else 'are'} unlike the training images"


class Familiarity:
    """Compares images with what a package keeps of its training.

    Args:
        package: The model.
        predictor: What answers, with features or without.

    Raises:
        PackageError: what it keeps cannot be read.
    """

    def __init__(self, package: ModelPackage, predictor: Predictor) -> None:
        self._statistics = read_statistics(package)
        self._planes, self._features = len(package.classes.planes), predictor.feature_count
        self._precision = predictor.info.precision

    @property
    def known(self) -> bool:
        """Whether the package keeps anything."""
        return self._statistics is not None

    def compare(
        self, squares: list[NDArray[np.uint8]], answers: NDArray[np.float32]
    ) -> list[Unlikeness | None]:
        """Compare images.

        Args:
            squares: As the model sees them, ``(side, side, 3)`` RGB each.
            answers: What the runtime answers for them.

        Returns:
            Of each; None where nothing can be said.
        """
        if self._statistics is None:
            return [None] * len(squares)
        distances = None
        if self._features and self._statistics.features is not None:
            features = answers[:, self._planes : self._planes + self._features]
            distances = self._statistics.features.density.distances(features)
        return [
            _unlikeness(
                compare(
                    self._statistics,
                    patch_appearance(square)[None],
                    None if distances is None else distances[index : index + 1],
                    self._precision,
                )
            )
            for index, square in enumerate(squares)
        ]


def _unlikeness(found: Comparison) -> Unlikeness | None:
    if found.p_value is None or found.distance is None:
        return None
    words = []
    for name in found.foremost if found.unlike else ():
        kind = found.kinds[name]
        what = "the model's features" if name == FEATURES else name
        words.append(f"{what} ({kind.words})" if kind.words else what)
    told = ", ".join(words) or ("the whole" if found.unlike else "")
    return Unlikeness(_rounded(found.distance), _rounded(found.p_value), told)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
