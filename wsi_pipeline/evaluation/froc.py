"""FROC by CAMELYON16's rule: sensitivity to lesions over false positives per slide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.evaluation.detections import Detections
from wsi_pipeline.evaluation.lesions import Lesions
from wsi_pipeline.evaluation.settings import OPERATING_POINTS, Interpolation


@dataclass(frozen=True, slots=True)
class Hits:
    """What a slide's detections met.

    Attributes:
        false_positives: Score of each detection beside every lesion, ``(m,)``.
        lesions: Best score of the detections in each lesion, ``(n,)``; 0 = not found, and 0 for
            isolated tumour cells whether found or not.
        itc: Which lesions are isolated tumour cells, ``(n,)``.
    """

    false_positives: NDArray[np.float64]
    lesions: NDArray[np.float64]
    itc: NDArray[np.bool_]

    @property
    def counted(self) -> int:
        """Lesions that are to be found."""
        return int(np.count_nonzero(~self.itc))


@dataclass(frozen=True, slots=True)
class FrocCurve:
    """Points of falling threshold, the first at (0, 0) with an infinite one; ``(n,)``.

    Attributes:
        false_positives: Per slide.
        sensitivity: Share of the lesions found.
        thresholds: Scores at and above which a detection counts.
    """

    false_positives: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    def at(self, rate: float, interpolation: Interpolation = "linear") -> float:
        """Sensitivity at a rate of false positives per slide.

        Args:
            rate: False positives per slide.
            interpolation: ``linear`` between the points, the last one's beyond them.
                ``first-at-least``: of the first point with that many, else the last one's.
                ``last-at-most``: of the last point with no more.
        """
        rates = self.false_positives
        if interpolation == "linear":
            return float(np.interp(rate, rates, self.sensitivity))
        if interpolation == "first-at-least":
            first = int(np.searchsorted(rates, rate, side="left"))
            return float(self.sensitivity[min(first, len(rates) - 1)])
        return float(self.sensitivity[int(np.searchsorted(rates, rate, side="right")) - 1])

    def score(self, interpolation: Interpolation = "linear") -> float:
        """The challenge's figure: mean sensitivity at 1/4, 1/2, 1, 2, 4 and 8 per slide."""
        return float(np.mean([self.at(rate, interpolation) for rate in OPERATING_POINTS]))


def hits(detections: Detections, lesions: Lesions) -> Hits:
    """Sort a slide's detections: found lesions, false positives, and those of no account.

    Further hits of a lesion are no false positives, nor are hits of isolated tumour cells. On a
    slide without lesions every detection is one.
    """
    lesion = lesions.at(detections.x, detections.y)
    best = np.zeros(len(lesions))
    found = lesion > 0
    np.maximum.at(best, lesion[found] - 1, detections.probability[found])
    best[lesions.itc] = 0
    return Hits(detections.probability[~found], best, lesions.itc)


def froc_curve(slides: Sequence[Hits]) -> FrocCurve | None:
    """The curve of some slides; None where there is no lesion to be found.

    Thresholds are the different scores of false positives and lesions together, the lowest left
    out: with a lesion that nobody found, whose score is 0, that is 0; without one it is a real
    score, and so in the challenge's own script. Slides without detections count.
    """
    counted = sum(slide.counted for slide in slides)
    if not counted:
        return None
    false = np.sort(np.concatenate([slide.false_positives for slide in slides]))
    true = np.sort(np.concatenate([slide.lesions for slide in slides]))
    thresholds = np.unique(np.concatenate([false, true]))[:0:-1]
    above_false = len(false) - np.searchsorted(false, thresholds, side="left")
    above_true = len(true) - np.searchsorted(true, thresholds, side="left")
    return FrocCurve(
        false_positives=np.append(0, above_false) / len(slides),
        sensitivity=np.append(0, above_true) / counted,
        thresholds=np.append(np.inf, thresholds),
    )
