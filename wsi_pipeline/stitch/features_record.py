"""What a result says of the features that it keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesRecord:
    """Features of the tiles, ``features/values``.

    Attributes:
        size: How many each tile has.
        numbers: As what they are stored: ``float16`` or ``float32``.
    """

    size: int
    numbers: str
