"""sRGB to CIE L*a*b* (D65 white, 2° observer) and back; IEC 61966-2-1 and CIE 15.

The part between is ``f``, a cube root of each of X, Y and Z relative to white, of which L*, a* and
b* are linear: ``L* = 116 f(Y) - 16``, ``a* = 500 (f(X) - f(Y))``, ``b* = 200 (f(Y) - f(Z))``.
"""

import numpy as np
from numpy.typing import NDArray

#: Linear RGB to X, Y, Z, each relative to that of white.
_TO_XYZ = np.array(
    [
        (0.412453, 0.357580, 0.180423),
        (0.212671, 0.715160, 0.072169),
        (0.019334, 0.119193, 0.950227),
    ]
)
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)
#: f to L*, a*, b*, beside the -16 of L*.
_TO_LAB = np.array([(0, 116, 0), (500, -500, 0), (0, 200, -200)], float)
_OFFSET = np.array([-16.0, 0, 0])
#: Below this share of white f is a straight line: (6/29)³.
_LINEAR_BELOW = (6 / 29) ** 3
_ROOT_BELOW = 6 / 29
_SLOPE, _START = (29 / 6) ** 2 / 3, 4 / 29
#: Steps of linear light that become sRGB by a table: the steepest is 0.2 of a value of 255.
_STEPS = 2**14

_LEVELS = np.arange(256) / 255
#: Linear light of each value 0-255.
_LIGHT = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
_GRADES = np.arange(_STEPS + 1) / _STEPS
#: Value 0-255 of linear light in steps.
_VALUE = (
    255 * np.where(_GRADES <= 0.0031308, 12.92 * _GRADES, 1.055 * _GRADES ** (1 / 2.4) - 0.055)
    + 0.5
).astype(np.uint8)


def to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """L*, a*, b* of px ``(n, 3)`` RGB, ``(n, 3)``."""
    relative = _LIGHT[pixels].astype(np.float64) @ _TO_XYZ.T
    root = np.where(relative > _LINEAR_BELOW, np.cbrt(relative), _SLOPE * relative + _START)
    lab: NDArray[np.float64] = root @ _TO_LAB.T + _OFFSET
    return lab


class LabShift:
    """``L*a*b*' = scale · L*a*b* + shift`` of px, as one affine step between the cube roots.

    What is brighter than white or has no such colour on a screen is cut to 0-255.

    Args:
        scale: Of L*, a* and b*.
        shift: Of the same.
    """

    def __init__(self, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        back = np.linalg.inv(_TO_LAB)
        self._into = _TO_XYZ.astype(np.float32)
        self._matrix = (back @ np.diag(scale) @ _TO_LAB).astype(np.float32)
        self._constant = (back @ (scale * _OFFSET + shift - _OFFSET)).astype(np.float32)
        self._out = np.linalg.inv(_TO_XYZ).astype(np.float32)

    def __call__(self, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Px as planes ``(3, n)`` RGB, likewise."""
        relative = mixed(self._into, _LIGHT[planes])
        root = np.cbrt(relative)
        _line(root, relative, relative <= _LINEAR_BELOW, _SLOPE, _START)
        moved = mixed(self._matrix, root)
        moved += self._constant[:, None]
        cubed = moved * moved
        cubed *= moved
        _line(cubed, moved, moved <= _ROOT_BELOW, 1 / _SLOPE, -_START / _SLOPE)
        found = mixed(self._out, cubed)
        np.clip(found, 0, 1, out=found)
        found *= _STEPS
        found += 0.5
        return _VALUE[found.astype(np.uint16)]


def _line(
    out: NDArray[np.float32],
    values: NDArray[np.float32],
    where: NDArray[np.bool_],
    slope: float,
    start: float,
) -> None:
    """Near black f and its inverse are a straight line."""
    if where.any():
        out[where] = slope * values[where] + start


def mixed(matrix: NDArray[np.float32], planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """``matrix @ planes`` for ``(3, 3)`` and ``(3, n)``, float32, a plane at a time.

    In one fixed order of multiplications and sums: a library's product may round otherwise with
    the number of its threads, and a patch's px must not depend on that.
    """
    found = np.empty_like(planes)
    part = np.empty_like(planes[0])
    for index, row in enumerate(matrix):
        np.multiply(planes[0], row[0], out=found[index])
        for factor, plane in zip(row[1:], planes[1:], strict=True):
            np.multiply(plane, factor, out=part)
            found[index] += part
    return found
