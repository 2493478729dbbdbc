"""Finding how a slide or an image is stained, from its px; what cannot be told is said.

Blank glass, void, fluorescence, a single stain and hardly any px have no fit but a reason.
"""

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.stain.appearance import (
    Appearance,
    LabStatistics,
    Method,
    StainFit,
    StainMatrix,
    stain_matrix,
    triple,
)
from wsi_pipeline.stain.density import DENSITY
from wsi_pipeline.stain.lab import to_lab
from wsi_pipeline.stain.sparse import sparse_stains

#: Macenko's β, 0.15 as a natural logarithm: a px whose density, on the mean of the channels, is
#: below it holds no stain.
_TRANSPARENT = 0.15 / np.log(10)
#: Macenko's α: the directions are this percentile of the angles from either end.
_ANGLE_PERCENTILE = 1.0
#: Amount of stain that counts as usual in dense px: that of this percentile.
_DENSE_PERCENTILE = 99.0
#: A px with no channel above this is void, as in the tissue rule.
_BLACK = 10
#: Median brightness of 255, on the mean of the channels, below which no light went through.
_DARK_FIELD = 38
#: Stained px that a fit needs: their 99th percentile is that of the five densest.
_LEAST_PX = 500
#: Px that are looked at, evenly taken; more change the fourth digit.
_MOST_PX = 2**19
#: Degrees between Macenko's two directions, at least: on 430 patches of real tissue they were 10 to
#: 43 apart. Sensor noise on one stain alone spreads angles by less; strong JPEG compression may
#: spread them by more, which no three numbers of a px can tell from a second stain.
_LEAST_DEGREES = 8.0
#: Degrees between Vahadane's, which lie about half as far apart.
_LEAST_SPARSE_DEGREES = 3.0
#: Amount of a stain in dense px, at least: less is a tint of the glass.
_LEAST_DENSITY = 0.03
#: Spread of L*, at least, and of a* and b*.
_LEAST_SPREAD = (2.0, 0.5, 0.5)


class _NoFitError(ValueError):
    """The px have no appearance; the text says why."""


def fit_stain(method: Method, pixels: NDArray[np.uint8]) -> StainFit:
    """How px are stained.

    Macenko's and Vahadane's methods leave out px without stain; Reinhard's takes all it is given.

    Args:
        method: How to find it.
        pixels: ``(n, 3)`` RGB, of a whole slide's tissue or of an image.

    Returns:
        The fit, or why there is none; no px make it raise, and none of its numbers is NaN.
    """
    try:
        return StainFit(method, _appearance(method, pixels))
    except _NoFitError as error:
        return StainFit(method, None, str(error))


def _appearance(method: Method, pixels: NDArray[np.uint8]) -> Appearance:
    pixels = pixels[:: -(-max(1, len(pixels)) // _MOST_PX)]
    seen = pixels[pixels.max(axis=1, initial=0) > _BLACK]
    if len(seen) < _LEAST_PX:
        raise _NoFitError(f"only {len(seen):,} px are not black, {_LEAST_PX} are needed")
    if np.median(seen.mean(axis=1)) < _DARK_FIELD:
        raise _NoFitError("most px are dark, as in fluorescence: no light went through")
    density = DENSITY[seen]
    stained = density.mean(axis=1) >= _TRANSPARENT
    if np.count_nonzero(stained) < _LEAST_PX:
        raise _NoFitError(
            f"only {np.count_nonzero(stained):,} px are stained, {_LEAST_PX} are needed"
        )
    if method == "reinhard":
        return _statistics(seen)
    directions = macenko_directions(density[stained])
    _check_two(directions, _LEAST_DEGREES)
    if method == "vahadane":
        directions = sparse_stains(density[stained], directions)
        _check_two(directions, _LEAST_SPARSE_DEGREES)
    return _matrix(directions, density[stained])


def _statistics(pixels: NDArray[np.uint8]) -> LabStatistics:
    lab = to_lab(pixels)
    spread = lab.std(axis=0)
    if (spread < _LEAST_SPREAD).any():
        raise _NoFitError("all px have nearly one colour")
    return LabStatistics(triple(lab.mean(axis=0)), triple(spread))


def macenko_directions(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """The two stains of Macenko et al. 2009 (A method for normalizing histology slides, ISBI).

    In the plane of the two largest eigenvectors of the densities' covariance, the directions are
    robust extremes of the angles of px.

    Args:
        density: Of stained px, ``(n, 3)``.

    Returns:
        Directions ``(2, 3)``, in no order.
    """
    _, vectors = np.linalg.eigh(np.cov(density, rowvar=False))
    plane = vectors[:, [2, 1]]
    # A direction and its opposite are both eigenvectors: the first is to point towards density,
    # so that no angle jumps by a full turn; the second only decides which stain comes first.
    plane *= np.where(plane[:1] < 0, -1, 1)
    across = density @ plane
    angle = np.arctan2(across[:, 1], across[:, 0])
    ends = np.percentile(angle, [_ANGLE_PERCENTILE, 100 - _ANGLE_PERCENTILE])
    found: NDArray[np.float64] = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    return found


def _check_two(directions: NDArray[np.float64], least: float) -> None:
    lengths = np.linalg.norm(directions, axis=1)
    cosine = float(directions[0] @ directions[1]) / float(lengths.prod())
    degrees = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if not degrees >= least:
        raise _NoFitError(
            f"there is one stain only: its two directions are {degrees:.1f} degrees apart, "
            f"{least:g} are needed"
        )


def _matrix(directions: NDArray[np.float64], density: NDArray[np.float64]) -> StainMatrix:
    amounts = density @ np.linalg.pinv(directions)
    dense = np.percentile(amounts, _DENSE_PERCENTILE, axis=0)
    if not (dense >= _LEAST_DENSITY).all():
        raise _NoFitError("one of the two stains is hardly there")
    return stain_matrix(directions, dense)
