"""A slide or an image beside the training data: how unlike, how unusual that is, and in what."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.shift.appearance import PARTS, Looks, Part
from wsi_pipeline.shift.statistics import TrainingStatistics
from wsi_pipeline.shift.yardstick import LEAST_UNITS, Yardstick

#: The p-value at and below which a slide is called unlike the held-out ones. Where they are few,
#: the normal distribution of rooted distances is an approximation whose tail is too light: of
#: drawn slides like those held out two to three in a hundred are below it.
LEVEL = 0.01
FEATURES = "features"
#: What lower precisions may add to distances of features, as a factor: they are divided by it, so
#: that rounding raises no alarm. Measured on blood cells, median and EfficientNet-Lite0: bf16 adds
#: 0.5 %, int8 5 %, of a model whose int8 was too coarse to be admitted.
_ROUNDING = {"fp32": 1.0, "bf16": 1.02, "fp16": 1.02, "int8": 1.1}
#: Deviations of patches by which a number differs enough to be told.
_TELLING = 0.5
#: Share of the stain by which a channel differs enough to be told.
_TELLING_SHARE = 0.02
_HUES = (("bluer", "redder"), ("pinker", "greener"), ("yellower", "bluer"))


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference from the training data.

    Attributes:
        distance: In standard deviations of training patches; of features see
            :meth:`~wsi_pipeline.shift.density.Density.distances`.
        usual: Median of the held-out slides or images.
        limit: Distance from which it is unusual; None where too few were held out.
        p_value: Chance of a distance as large; None likewise.
        units: How many were held out.
        words: How it differs; empty where that cannot be told.
    """

    distance: float
    usual: float | None
    limit: float | None
    p_value: float | None
    units: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole of it.

    Attributes:
        unit: What it was compared with: held-out ``slide``, ``image`` or ``patch``.
        level: The p-value at and below which it is unlike the training data.
        p_value: The least of the kinds', times their number (Bonferroni): valid whatever they
            have to do with each other. None where nothing is known.
        distance: Largest distance in proportion to its limit: 1 is the limit. None likewise.
        kinds: ``features``, ``colour``, ``focus``, ``texture``: those that are known.
    """

    unit: str
    level: float
    p_value: float | None
    distance: float | None
    kinds: Mapping[str, Difference]

    @property
    def unlike(self) -> bool:
        """Whether it is unlike the training data."""
        return self.p_value is not None and self.p_value <= self.level

    @property
    def foremost(self) -> list[str]:
        """Kinds beyond their limits, the farthest first."""
        ratios = {name: one.distance / one.limit for name, one in self.kinds.items() if one.limit}
        return sorted((name for name in ratios if ratios[name] >= 1), key=lambda n: -ratios[n])


def compare(
    statistics: TrainingStatistics,
    appearance: NDArray[np.float32],
    distances: NDArray[np.float32] | None,
    precision: str = "fp32",
) -> Comparison:
    """Compare a slide, or an image, with the training data.

    Args:
        statistics: Of the package.
        appearance: Of some of its patches, ``(n, 11)``; NaN where there is no tissue.
        distances: Of the features of its patches, ``(m,)``, NaN where unreadable; None: unknown.
        precision: That features were computed in; of a cascade's, ``int8>fp32``, the first.
    """
    found: dict[str, tuple[float, Yardstick, str]] = {}
    known = None if distances is None else distances[np.isfinite(distances)]
    if statistics.features is not None and known is not None and len(known):
        median = float(np.median(known)) / rounding(precision)
        found[FEATURES] = (median, statistics.features.units, "")
    looked = appearance[~np.isnan(appearance).any(axis=1)].astype(np.float64)
    if len(looked):
        mean = looked.mean(axis=0)
        apart = statistics.looks.distances(mean[None])
        for part in PARTS:
            words = describe(part, mean, statistics.looks)
            found[part] = (float(apart[part][0]), statistics.parts[part], words)
    level = LEVEL / max(1, sum(one.units >= LEAST_UNITS for _, one, _ in found.values()))
    kinds = {
        name: Difference(
            distance,
            float(np.median(held_out.distances)) if held_out.units else None,
            held_out.limit(level),
            held_out.p_value(distance, level),
            held_out.units,
            words,
        )
        for name, (distance, held_out, words) in found.items()
    }
    chances = [one.p_value for one in kinds.values() if one.p_value is not None]
    ratios = [one.distance / one.limit for one in kinds.values() if one.limit]
    return Comparison(
        statistics.unit,
        LEVEL,
        min(1.0, len(chances) * min(chances)) if chances else None,
        max(ratios) if ratios else None,
        kinds,
    )


def rounding(precision: str) -> float:
    """The factor that a precision, or the first of a cascade's, may add to distances."""
    return _ROUNDING.get(precision.split(">", maxsplit=1)[0], 1.0)


def describe(part: Part, mean: NDArray[np.float64], looks: Looks) -> str:
    """In which direction a mean appearance ``(11,)`` differs, in words; may be empty."""
    of = PARTS[part]
    deviations = np.sqrt(np.diag(looks.covariance)[of])
    away = (mean - looks.mean)[of] / deviations
    if part == "focus":
        return _word(float(away[0]), "sharper", "blurred")
    if part == "texture":
        return _word(float(away.mean()), "more contrast", "less contrast")
    words = [_word(float(away[:3].mean()), "darker", "paler")]
    ours, theirs = (values[of][:3] / values[of][:3].sum() for values in (mean, looks.mean))
    channel = int(np.abs(ours - theirs).argmax())
    change = float(ours[channel] - theirs[channel])
    if abs(change) >= _TELLING_SHARE:
        words.append(_HUES[channel][0 if change > 0 else 1])
    return ", ".join(word for word in words if word)


def _word(away: float, more: str, less: str) -> str:
    if abs(away) < _TELLING:
        return ""
    return more if away > 0 else less
