"""Whether a slide's colour channels were exchanged or inverted on their way into the file."""

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np

#: As they are compared: how much farther the colours are as they are than exchanged, and
#: how far they may be exchanged, in deviations of the training patches: three sigma of three
#: channels, as :data:`wsi_pipeline.run.shift_alarms.FAR_COLOURS`.
_TIMES, _LIMIT = 3.0, 3.763
_NAMES = "RGB"


def exchanged(mean: Sequence[float], distance: Callable[[Sequence[float]], float]) -> str:
    """The exchange of channels that brings tissue's colours to those of the training.

    Args:
        mean: Optical densities of R, G and B in the slide's tissue.
        distance: Of such densities from the training patches'.

    Returns:
        What was done to the channels, in words; empty where they are nearest as they are, or far
        whatever is exchanged.
    """
    given = np.asarray(mean, np.float64)
    bright = 256 * 10**-given - 1
    inverted = -np.log10((256 - np.clip(bright, 0, 255)) / 256)
    now = distance(given.tolist())
    found: list[tuple[float, str]] = []
    for order in permutations(range(3)):
        name = "".join(_NAMES[channel] for channel in order)
        if order != (0, 1, 2):
            found.append((distance(given[list(order)].tolist()), f"stored in the order {name}"))
        found.append((distance(inverted[list(order)].tolist()), _inverted(order, name)))
    best, words = min(found)
    return words if now > _LIMIT and best <= _LIMIT and now >= _TIMES * best else ""


def _inverted(order: tuple[int, ...], name: str) -> str:
    return "inverted" if order == (0, 1, 2) else f"inverted and stored in the order {name}"
