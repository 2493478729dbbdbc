"""Images that are the same picture: copies, also recompressed, resized, turned or mirrored.

Two images are alike where their perceptual hashes differ in few bits in one of the eight
orientations, and a small picture of one in this orientation equals that of the other: hashes alone
would join all smooth images. All images are compared with all, as products of matrices: 40,000
images take about two minutes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

#: Bits of a hash, and how many may differ.
_BITS, _DIFFERENT = 64, 12
#: Side in px of the small picture that confirms it.
_SIDE = 24
#: Width in px of the Gaussian whose blur is taken away: the rest tells cells of one shape apart.
_BLUR = 3.0
#: Least correlation of two small pictures. On 4,000 real patches and 650 blood cells, JPEG of
#: quality 30, half the size and turns left 0.947 and more, and different patches at most 0.68.
#: Different photographs of one cell reach 0.97, and are meant.
_CORRELATION = 0.945
#: Least deviation of a small picture, of 255: below, it is nearly of one colour, and two are the
#: same picture only where their files are the same.
_LEAST_DEVIATION = 2.0
_ROWS = 1024
#: Pairs whose small pictures are compared at once: 14 kB each.
_PAIRS = 4096


@dataclass(frozen=True, slots=True)
class Likeness:
    """What an image is compared by.

    Attributes:
        content: SHA-256 (hex) of size and px: equal for the same px in two files.
        hashes: Of its eight orientations, bool ``(8, 64)``; the first is the image as it is.
        thumbnail: float32 ``(24, 24, 3)`` without its blur, of length 1; all 0 where the image
            is all of one colour.
    """

    content: str
    hashes: NDArray[np.bool_]
    thumbnail: NDArray[np.float32]


def likeness_of(pixels: NDArray[np.uint8]) -> Likeness:
    """What an image is compared by.

    Args:
        pixels: ``(height, width, 3)`` RGB.
    """
    content = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    image = Image.fromarray(pixels)
    # Square, so that a turned image has turned px. Images of other proportions are not alike: the
    # small picture is of the same side for both, but what is in it is stretched otherwise.
    grey = np.asarray(image.convert("L").resize((64, 64), Image.Resampling.BOX))
    hashes = np.stack(
        [imagehash.phash(Image.fromarray(one)).hash.ravel() for one in orientations(grey)]
    )
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)
    small -= gaussian_filter(small, (_BLUR, _BLUR, 0), mode="nearest")
    length = float(np.linalg.norm(small))
    if length < _LEAST_DEVIATION * _SIDE * np.sqrt(3):
        small, length = np.zeros_like(small), 1.0
    return Likeness(content, hashes, small / np.float32(length))


def orientations(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """A square in its eight orientations: turned by quarters, then mirrored."""
    turned = [np.rot90(pixels, quarter) for quarter in range(4)]
    return [np.ascontiguousarray(one) for one in (*turned, *(one[:, ::-1] for one in turned))]


def alike(images: Sequence[Likeness]) -> NDArray[np.int64]:
    """Pairs of images that are the same picture, ``(pairs, 2)``, the smaller number first.

    Not every pair of several copies need be there, but copies are always connected by pairs.
    Memory: some 10 kB per image, and 200 MB.
    """
    found = [_same_content(images)]
    if len(images) > 1:
        found += _near(images)
    return np.unique(np.concatenate(found), axis=0)


def joined(groups: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the group of each image, ``(n,)``, where pairs join the groups they connect.

    Args:
        groups: Of each image.
        pairs: As :func:`alike` gives them.
    """
    _, first, number = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    ends = number[pairs].reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (len(first),) * 2)
    _, component = connected_components(graph, directed=False)
    return np.asarray(component[number], np.int64)


def _same_content(images: Sequence[Likeness]) -> NDArray[np.int64]:
    first: dict[str, int] = {}
    pairs = [
        (first[image.content], index)
        for index, image in enumerate(images)
        if first.setdefault(image.content, index) != index
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _near(images: Sequence[Likeness]) -> list[NDArray[np.int64]]:
    # The product of two hashes of signs is 64 less twice the bits that differ.
    signs = np.stack([image.hashes for image in images]).astype(np.float32) * 2 - 1
    small = np.stack([image.thumbnail for image in images])
    found = []
    for start in range(0, len(images), _ROWS):
        plain = signs[start : start + _ROWS, 0]
        for orientation in range(signs.shape[1]):
            product = plain @ signs[start:, orientation].T
            rows, columns = np.nonzero(product >= _BITS - 2 * _DIFFERENT)
            pairs = np.stack([rows, columns], axis=1).astype(np.int64) + start
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
            found.append(_confirmed(pairs, orientation, small))
    return found


def _confirmed(
    pairs: NDArray[np.int64], orientation: int, small: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Pairs whose small pictures are equal, the second one's in an orientation."""
    kept = []
    for start in range(0, len(pairs), _PAIRS):
        some = pairs[start : start + _PAIRS]
        second = np.rot90(small[some[:, 1]], orientation % 4, axes=(1, 2))
        if orientation >= 4:
            second = second[:, :, ::-1]
        correlation = (small[some[:, 0]] * second).sum(axis=(1, 2, 3))
        kept.append(some[correlation >= _CORRELATION])
    return np.concatenate([np.empty((0, 2), np.int64), *kept])
