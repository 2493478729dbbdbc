"""What a result says of its slide as a whole, as the OpenAPI document has it."""

from typing import Annotated

from pydantic import BaseModel, Field

from wsi_pipeline.stitch.slide_answer_record import State

Share = Annotated[float, Field(ge=0, le=1)]


class SlideRuleOut(BaseModel):
    """What the state of a slide rests on, as its model package states it."""

    alpha: Annotated[Share, Field(description="Positive slides among the clear ones, at most,")]
    delta: Annotated[Share, Field(description="but for this probability")]
    false_alarms: Annotated[
        Share, Field(description="Negative slides among the suspicious ones, at most, likewise")
    ]
    slides: Annotated[int, Field(description="Validation slides, one of each patient")]
    positives: Annotated[int, Field(description="Positive ones among them")]
    clear_below: Annotated[
        Share | None, Field(description="Probability below which a slide is clear; null: none is")
    ]
    suspicious_from: Annotated[
        Share | None,
        Field(description="Probability from which a slide is suspicious; null: none is"),
    ]


class SlideAnswerOut(BaseModel):
    """The answer for the whole slide."""

    method: Annotated[
        str,
        Field(
            description="`max`: the largest probability of a cell, or the kind of the package's fit"
        ),
    ]
    probability: Annotated[
        Share | None,
        Field(description="Calibrated, that the slide is positive; null of `max`"),
    ]
    low: Annotated[Share | None, Field(description="Lower end of its 95 % interval")]
    high: Annotated[Share | None, Field(description="Upper end of its 95 % interval")]
    probabilities: Annotated[
        dict[str, Share], Field(description="Of every class of slides by its name; empty of `max`")
    ]
    state: Annotated[State, Field(description="What is to be done with the slide")]
    reason: Annotated[str, Field(description="Why it is in this state")]
    rule: SlideRuleOut | None
