"""What a result says of the model's screen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenRecord:
    """What the screen did on a slide.

    Attributes:
        reason: Why it was not used, in words; empty where it was.
        promise: Share of the tiles the model calls positive that it may lose, as the package
            states it.
        upper: Upper confidence limit of that share on the validation slides of this stain; None
            where it was not used.
        limit: Score (logit) below which it calls tiles surely negative; None likewise.
        bound: Probability that screened tiles are given; None likewise.
        tiles: Tiles of tissue.
        screened: Those that the screen alone has seen.
        controls: Tiles below the limit that the model was asked about all the same.
        wrong: Those among the controls that the model calls positive. Where there are any, the
            slide was analysed again without the screen, and `screened` is 0.
    """

    reason: str = ""
    promise: float
    upper: float | None = None
    limit: float | None = None
    bound: float | None = None
    tiles: int
    screened: int = 0
    controls: int = 0
    wrong: int = 0
