"""What ``model.yaml`` says of a screen; the numbers of its network are in another file."""

from typing import Self

from pydantic import Field, model_validator

from wsi_pipeline.model.input_description import Frozen

#: The arrays of the screen's network, beside ``model.yaml``.
SCREEN = "screen.npz"


class ScreenedStain(Frozen):
    """Slides of one stain, and the limit that was chosen on validation slides of it.

    Attributes:
        colour: Direction of the mean optical density (R, G, B) of the tissue, of length 1.
        radius: Slides whose direction is farther from it (Euclidean) are not of this stain.
        limit: Score (logit) below which a tile is screened.
        slides: Validation slides.
        tiles: Their tiles of tissue.
        positives: Those among them that the model calls positive.
        lost: Those among these that lie below the limit.
        upper: Upper limit of the share lost, at :attr:`ScreenSection.confidence`.
        screened: Share of the tiles below the limit, 0-1.
        bound: Probability that the model stays below for 99 % of the screened tiles, 0-1.
    """

    colour: tuple[float, float, float]
    radius: float = Field(gt=0)
    limit: float
    slides: int = Field(ge=1)
    tiles: int = Field(ge=1)
    positives: int = Field(ge=1)
    lost: int = Field(ge=0)
    upper: float = Field(ge=0, le=1)
    screened: float = Field(ge=0, le=1)
    bound: float = Field(ge=0, lt=1)


class ScreenSection(Frozen):
    """The section ``screen``.

    Attributes:
        promise: Share of the tiles the model calls positive that may be screened, at most.
        confidence: Of the upper limits.
        threshold: Probability from which on a tile counted as positive when it was made.
        fitted: On what, in words.
        stains: Where it may be used.
    """

    promise: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0, lt=1)
    threshold: float = Field(gt=0, lt=1)
    fitted: str
    stains: tuple[ScreenedStain, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(one.bound >= self.threshold for one in self.stains):
            raise ValueError("a screened tile's bound reaches the threshold")
        return self
