"""Why a tile cannot be judged: the bits of ``labels/quality`` and ``tiles/quality``."""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Of a tile that no detector looked at; never a set of reasons.
NOT_LOOKED_AT = 255


class Reason(enum.IntFlag):
    """What is wrong with a tile; several may be."""

    BLUR = 1
    PEN = 2
    FOLD = 4
    BUBBLE = 8
    OUT_OF_FOCUS = 16
    GAP = 32


@dataclass(frozen=True, slots=True)
class ReasonFacts:
    """How a reason is called and drawn.

    Attributes:
        key: For programs, in tables and records.
        text: For people.
        rgb: Of its marks, 0-255.
    """

    key: str
    text: str
    rgb: tuple[int, int, int]


FACTS: dict[Reason, ReasonFacts] = {
    Reason.BLUR: ReasonFacts("blur", "blurred patch", (0, 131, 143)),
    Reason.PEN: ReasonFacts("pen", "pen", (21, 101, 192)),
    Reason.FOLD: ReasonFacts("fold", "fold", (173, 20, 87)),
    Reason.BUBBLE: ReasonFacts("bubble", "air bubble or cover-slip edge", (106, 27, 154)),
    Reason.OUT_OF_FOCUS: ReasonFacts("out-of-focus", "wide area out of focus", (0, 96, 100)),
    Reason.GAP: ReasonFacts("gap", "stitching gap", (230, 81, 0)),
}


def count_reasons(reasons: NDArray[np.uint8]) -> dict[str, int]:
    """Tiles that have each reason, by its key; those not looked at have none."""
    seen = reasons[reasons != NOT_LOOKED_AT]
    return {FACTS[one].key: int(np.count_nonzero(seen & one)) for one in Reason}


def is_marked(reasons: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which tiles have any reason."""
    marked: NDArray[np.bool_] = (reasons != 0) & (reasons != NOT_LOOKED_AT)
    return marked
