"""A fit on region features: what a package keeps of it, and how it scores a slide.

``regions-logistic`` is one linear function of the standardised features for each class;
``regions-forest`` the logarithm of the mean share of the classes in the leaves of all trees. Both
keep, beside the whole fit, the same for patients drawn again, from which intervals come: of the
logistic fit its coefficients; a forest is grown in bags, each on one drawing, as *bootstrap of
little bags* does it (Athey, Tibshirani and Wager 2019, *Generalized random forests*), and its
interval is of the bags' answers, drawn together by what the chance of their few trees adds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_npz
from wsi_pipeline.model.slide_level_section import SLIDE_LEVEL
from wsi_pipeline.slide_level.calibration import SlideCalibration
from wsi_pipeline.slide_level.forest import ForestArrays

Values = NDArray[np.float64]
KINDS = ("regions-logistic", "regions-forest")
#: Least share of a class, of which a logarithm is taken.
_LEAST = 1e-3


class Scorer(Protocol):
    """Scores slides, as the whole fit and as each drawing does."""

    def scores(self, features: Values) -> Values:
        """Of each class, float64 ``(n, classes)``; features are ``(n, features)``."""
        ...

    def drawn_scores(self, features: Values) -> Values:
        """Of one slide by each drawing, float64 ``(draws, classes)``; ``(features,)``."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the names they have in the package."""
        ...


@dataclass(frozen=True, slots=True)
class LogisticScorer:
    """Linear functions of standardised features.

    Attributes:
        mean: Of the features, ``(features,)``.
        scale: What differences from it are multiplied by, ``(features,)``.
        weight: The whole fit, then each drawing, ``(1 + draws, classes, features)``.
        bias: Likewise, ``(1 + draws, classes)``.
    """

    mean: Values
    scale: Values
    weight: Values
    bias: Values

    def scores(self, features: Values) -> Values:
        """See :class:`Scorer`."""
        values = (features - self.mean) * self.scale
        return np.asarray(values @ self.weight[0].T + self.bias[0], np.float64)

    def drawn_scores(self, features: Values) -> Values:
        """See :class:`Scorer`."""
        values = (features - self.mean) * self.scale
        return np.asarray(self.weight[1:] @ values + self.bias[1:], np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See :class:`Scorer`."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ForestScorer:
    """Trees in bags.

    Attributes:
        forest: All trees, those of a bag side by side.
        bags: How many there are, each with the same number of trees.
    """

    forest: ForestArrays
    bags: int

    def scores(self, features: Values) -> Values:
        """See :class:`Scorer`."""
        return _log(self.forest.shares(features).mean(axis=1))

    def drawn_scores(self, features: Values) -> Values:
        """See :class:`Scorer`."""
        shares = self.forest.shares(features[None])[0]
        bags = shares.reshape(self.bags, -1, shares.shape[1])
        mean = bags.mean(axis=1)
        # Of what the bags' means vary, a part is the chance of the few trees in each.
        between = float(mean.var(axis=0, ddof=1).sum())
        chance = float(bags.var(axis=1, ddof=1).mean(axis=0).sum()) / bags.shape[1]
        kept = np.sqrt(max(0.0, 1 - chance / between)) if between > 0 else 0.0
        return _log(mean.mean(axis=0) + kept * (mean - mean.mean(axis=0)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """See :class:`Scorer`."""
        kept = ("feature", "threshold", "left", "right", "share")
        sizes = np.array([self.forest.trees, self.forest.depth, self.bags], np.int64)
        return {**{name: getattr(self.forest, name) for name in kept}, "sizes": sizes}


@dataclass(frozen=True, slots=True)
class RegionFit:
    """A scorer and the calibration of its scores."""

    scorer: Scorer
    calibration: SlideCalibration

    def probabilities(self, features: Values) -> Values:
        """Of all classes, float64 ``(classes,)``, of a slide with features ``(features,)``."""
        whole = self.calibration.probabilities(self.scorer.scores(features[None]))
        return np.asarray(whole[0], np.float64)

    def drawn_probabilities(self, features: Values) -> Values:
        """The same by each drawing, float64 ``(draws, classes)``."""
        return self.calibration.drawn_probabilities(self.scorer.drawn_scores(features))


def write_fit(folder: Path, fit: RegionFit) -> None:
    """Put a fit into the folder of a package that is being made, before its files are pinned."""
    calibration = fit.calibration
    write_npz(
        folder / SLIDE_LEVEL,
        slope=np.array([calibration.slope]),
        offsets=calibration.offsets,
        drawn=calibration.drawn,
        **fit.scorer.arrays(),
    )


def read_fit(package: ModelPackage) -> RegionFit:
    """The fit of a package whose section ``slide_level`` is of one of :data:`KINDS`.

    Raises:
        PackageError: the file is missing, or does not hold such numbers.
    """
    section = package.description.slide_level
    assert section is not None
    if SLIDE_LEVEL not in package.description.files:
        raise PackageError(
            package.folder, f"states a fit for slides, but {SLIDE_LEVEL} is not among its files"
        )
    try:
        with (
            (package.folder / SLIDE_LEVEL).open("rb") as file,
            np.load(file, allow_pickle=False) as data,
        ):
            found = {name: data[name] for name in data.files}
        calibration = SlideCalibration(float(found["slope"][0]), found["offsets"], found["drawn"])
        return RegionFit(_scorer(section.kind, found, len(section.classes)), calibration)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise PackageError(package.folder, f"{SLIDE_LEVEL} cannot be used: {error}") from error


def _scorer(kind: str, found: dict[str, NDArray[Any]], classes: int) -> Scorer:
    """The scorer that arrays of a package make.

    Raises:
        ValueError: they do not fit together.
        KeyError: one is missing.
    """
    if kind == "regions-logistic":
        names = ("mean", "scale", "weight", "bias")
        mean, scale, weight, bias = (found[name].astype(np.float64) for name in names)
        if weight.shape != (len(bias), classes, len(mean)) or bias.shape[1:] != (classes,):
            raise ValueError("its coefficients do not fit its features and classes")
        if not all(np.isfinite(one).all() for one in (mean, scale, weight, bias)):
            raise ValueError("its coefficients are not finite")
        return LogisticScorer(mean, scale, weight, bias)
    trees, depth, bags = (int(one) for one in found["sizes"])
    feature, left, right = (found[name].astype(np.int64) for name in ("feature", "left", "right"))
    share, threshold = found["share"].astype(np.float64), found["threshold"].astype(np.float64)
    count = len(feature)
    inside = all(one.min() >= 0 and one.max() < count for one in (left, right))
    if bags < 2 or count % trees or trees % bags or trees < 2 * bags or not inside:
        raise ValueError("its trees do not fit together")
    if share.shape != (count, classes) or len(threshold) != count or feature.min() < 0:
        raise ValueError("its trees do not fit its classes")
    return ForestScorer(ForestArrays(feature, threshold, left, right, share, trees, depth), bags)


def _log(shares: Values) -> Values:
    return np.asarray(np.log(np.maximum(shares, _LEAST)), np.float64)
