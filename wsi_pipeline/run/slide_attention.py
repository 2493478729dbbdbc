"""What a package's networks say of a slide as a whole, put into its record."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.slide_level.answer import with_answer
from wsi_pipeline.slide_level.attention.look import look as look_at_tiles
from wsi_pipeline.stitch.record import Record


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A record with the slide's answer, and the attention of its tiles.

    Attributes:
        record: The slide's score is the answer's probability.
        attention: Rank of each tile, 0-1, float32 ``(n,)`` in plan order; NaN = unreadable; None
            where all tiles weigh alike.
    """

    record: Record
    attention: NDArray[np.float32] | None


def look(
    package: ModelPackage, features: Iterable[NDArray[np.float32]], record: Record
) -> LookedAt:
    """See :func:`wsi_pipeline.slide_level.attention.look.look`.

    Raises:
        PackageError: the networks do not fit the package.
    """
    found = look_at_tiles(package, features, [alarm.code for alarm in record.alarms])
    return LookedAt(with_answer(record, found.answer), found.attention)
