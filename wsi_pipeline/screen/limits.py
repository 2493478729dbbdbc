"""Where the screen may say "surely negative": chosen on validation slides, for each stain."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from wsi_pipeline.model.screen_section import ScreenedStain, ScreenSection

#: Logits below the score that the validation slides allow, at least: those of other slides reach
#: lower.
MARGIN = 0.5
#: Logits by which the lowest of n scores falls when n grows by a factor of e: the scale of their
#: lower tail, taken as exponential. With fewer positive tiles than one in the promise the lowest
#: one lies above the score that keeps it. Of drawn slides the scale was 0.1 to 0.7.
_TAIL = 0.7
#: Validation tiles that the model calls positive, and slides that have some, without which a stain
#: has no limit.
LEAST_POSITIVES, LEAST_SLIDES = 50, 2
#: Share of the screened tiles whose probability the stated bound holds for.
_BOUNDED = 0.99
#: Colours (directions of density) nearer than this are of one stain.
_STAIN_APART = 0.05
#: How far from a stain's mean colour a slide of it may be: at least, and as a factor of the
#: farthest validation slide's distance.
_LEAST_RADIUS, _REACH = 0.02, 2.0


@dataclass(frozen=True, slots=True)
class ScoredSlide:
    """A validation slide.

    Attributes:
        name: Its name.
        colour: :func:`~wsi_pipeline.screen.colour.tissue_colour`, float64 ``(3,)``.
        scores: The screen's logits of its tiles, float32 ``(n,)``; none is NaN.
        probabilities: The model's answers for them, float32 ``(n,)``.
    """

    name: str
    colour: NDArray[np.float64]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]


def upper_limit(lost: int, of: int, confidence: float) -> float:
    """One-sided upper confidence limit of a share (Clopper and Pearson 1934).

    Args:
        lost: How many were lost.
        of: Out of how many.
        confidence: 0-1.
    """
    if lost >= of:
        return 1.0
    # The quantile of the beta distribution.
    return float(special.betaincinv(lost + 1, of - lost, confidence))


def group_stains(colours: Sequence[NDArray[np.float64]]) -> NDArray[np.int64]:
    """Which slides are of one stain: those with nearly the same colour.

    Args:
        colours: Of each slide, ``(3,)``.

    Returns:
        Number of each slide's stain, ``(n,)``.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - slow to import

    if len(colours) < 2:
        return np.zeros(len(colours), np.int64)
    tree = linkage(np.stack(colours), "average")
    return np.asarray(fcluster(tree, _STAIN_APART, "distance"), np.int64) - 1


def margin(positives: int, promise: float) -> float:
    """Logits by which the limit lies below the lowest score that may not be lost.

    Args:
        positives: Validation tiles that the model calls positive, at least one.
        promise: Share of them that may be lost.
    """
    return max(MARGIN, -_TAIL * math.log(promise * positives))


def choose_limit(
    slides: Sequence[ScoredSlide], threshold: float, promise: float, confidence: float
) -> ScreenedStain | str:
    """The limit of one stain: as high as the promise allows on these slides, less a margin.

    The margin is larger where the positive tiles are too few for the promise to allow one.

    Args:
        slides: Validation slides of the stain.
        threshold: From which on the model calls a tile positive.
        promise: Share of the tiles called positive that may be lost.
        confidence: Of the upper limit that is stated.

    Returns:
        The limit; or why there is none, in words.
    """
    scores = np.concatenate([one.scores for one in slides])
    probabilities = np.concatenate([one.probabilities for one in slides])
    positive = probabilities >= np.float32(threshold)
    count = int(positive.sum())
    with_some = sum(bool((one.probabilities >= np.float32(threshold)).any()) for one in slides)
    if count < LEAST_POSITIVES or with_some < LEAST_SLIDES:
        return (
            f"{count} positive tiles on {with_some} of {len(slides)} validation slides are too "
            f"few; at least {LEAST_POSITIVES} on {LEAST_SLIDES} slides are needed"
        )
    allowed = math.floor(promise * count)
    limit = float(np.sort(scores[positive])[allowed]) - margin(count, promise)
    below = scores < limit
    lost = int((below & positive).sum())
    centre = np.mean([one.colour for one in slides], axis=0)
    farthest = max(float(np.linalg.norm(one.colour - centre)) for one in slides)
    negative = probabilities[below & ~positive]
    bound = float(np.quantile(negative, _BOUNDED)) if len(negative) else 0.0
    return ScreenedStain(
        colour=(float(centre[0]), float(centre[1]), float(centre[2])),
        radius=max(_LEAST_RADIUS, _REACH * farthest),
        limit=limit,
        slides=len(slides),
        tiles=len(scores),
        positives=count,
        lost=lost,
        upper=upper_limit(lost, count, confidence),
        screened=float(below.mean()),
        bound=min(bound, float(np.nextafter(np.float32(threshold), np.float32(0)))),
    )


def stain_of(section: ScreenSection, colour: NDArray[np.float64]) -> ScreenedStain | None:
    """The stain that a slide is of; None where it is of none that the screen was validated on.

    Args:
        section: Of the package.
        colour: :func:`~wsi_pipeline.screen.colour.tissue_colour` of the slide.
    """
    away = [float(np.linalg.norm(np.array(one.colour) - colour)) for one in section.stains]
    nearest = int(np.argmin(away))
    return section.stains[nearest] if away[nearest] <= section.stains[nearest].radius else None
