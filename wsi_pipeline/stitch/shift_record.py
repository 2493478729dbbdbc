"""What a result says of how unlike the training data its slide is."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRecord:
    """One kind of difference.

    Attributes:
        distance: Of the slide from the training data.
        usual: Median of the held-out slides.
        limit: From which on it is unusual; None where too few slides were held out.
        p_value: Chance of a distance as large for a slide like those held out; None likewise.
        units: How many slides, images or patches were held out.
        words: How it differs; empty where that cannot be told.
    """

    distance: float
    usual: float | None
    limit: float | None
    p_value: float | None
    units: int
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftRecord:
    """How unlike the training data a slide is.

    Attributes:
        unit: What was held out and compared with: ``slide``, ``image`` or ``patch``; empty where
            the package keeps nothing of its training data.
        level: The p-value at and below which a slide is called unlike.
        p_value: Of the slide, over all kinds; None where nothing is known.
        distance: The largest distance in proportion to its limit; None likewise.
        reason: Why there is no p-value; empty where there is one.
        kinds: ``features``, ``colour``, ``focus``, ``texture``: those that are known.
        far: Distance of a tile beyond which it is farther than 99 % of the held-out ones; None
            without features, and in older results.
        far_tiles: Share of the tiles beyond it; None without features.
        nearest: Median distance of the tiles from the nearest training tile; None likewise.
        usual_nearest: The same of held-out tiles.
        nuclei: Size of the nuclei in µm, as measured on some tiles; None where unknown.
        training_nuclei: The same of the training patches.
        swapped: Exchange of colour channels that makes the tissue's colours those of the training;
            empty where there is none.
    """

    unit: str = ""
    level: float = 0.0
    p_value: float | None = None
    distance: float | None = None
    reason: str = ""
    kinds: dict[str, DifferenceRecord] = field(default_factory=dict)
    far: float | None = None
    far_tiles: float | None = None
    nearest: float | None = None
    usual_nearest: float | None = None
    nuclei: float | None = None
    training_nuclei: float | None = None
    swapped: str = ""
