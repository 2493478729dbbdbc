"""What the API answers in JSON, as models: the OpenAPI document is made of them."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from wsi_pipeline.service.slides import Slide, SlideState
from wsi_pipeline.service.text import fault_of_lines

SHA256 = r"^[0-9a-f]{64}$"
#: Names of model packages.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


def timestamp(seconds: float) -> datetime:
    """Seconds since 1970 as a time in UTC, which JSON has as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC)


class Pixels(BaseModel):
    """A size in px."""

    width: int
    height: int


class Resolution(BaseModel):
    """µm per level-0 px."""

    x: float
    y: float


class LevelOut(BaseModel):
    """One pyramid level: its size in its own px, and level-0 px per level px."""

    width: int
    height: int
    downsample: float


class SlideInfoOut(BaseModel):
    """Facts of a slide as its file states them; nothing that names a patient."""

    vendor: str
    dimensions: Annotated[Pixels, Field(description="Size in level-0 px")]
    levels: Annotated[list[LevelOut], Field(description="Finest first")]
    mpp: Resolution | None
    objective: float | None
    warnings: list[str]

    @classmethod
    def of(cls, info: dict[str, Any]) -> Self:
        """From what is kept of a slide: ``SlideInfo`` as JSON, without its path."""
        levels = [{**level["size"], "downsample": level["downsample"]} for level in info["levels"]]
        return cls.model_validate(
            {
                "vendor": info["vendor"],
                "dimensions": info["levels"][0]["size"],
                "levels": levels,
                "mpp": info["mpp"],
                "objective": info["objective"],
                "warnings": info["warnings"],
            }
        )


class ProblemOut(BaseModel):
    """Why something failed: a problem detail (RFC 9457) that is kept with it."""

    type: str
    title: str
    status: int
    detail: str


class SlideOut(BaseModel):
    """A slide of the workspace."""

    id: str
    name: str
    state: Annotated[SlideState, Field(description="checking → ready | rejected")]
    size_bytes: Annotated[int | None, Field(description="Of its files together")]
    sha256: Annotated[
        str | None, Field(pattern=SHA256, description="Known when the slide is ready")
    ]
    info: Annotated[SlideInfoOut | None, Field(description="Known when the slide is ready")]
    problem: Annotated[ProblemOut | None, Field(description="Why it was rejected")]
    created_at: datetime

    @classmethod
    def of(cls, slide: Slide) -> Self:
        """From the store's."""
        return cls(
            id=slide.id,
            name=slide.name,
            state=slide.state,
            size_bytes=slide.size_bytes,
            sha256=slide.sha256,
            info=None if slide.info is None else SlideInfoOut.of(slide.info),
            problem=None if slide.problem is None else ProblemOut.model_validate(slide.problem),
            created_at=timestamp(slide.created_at),
        )


def kept_whole(text: str) -> str:
    """A text that can be kept whole.

    Raises:
        ValueError: it holds what cannot be.
    """
    fault = fault_of_lines(text)
    if fault is not None:
        raise ValueError(f"it holds {fault}")
    return text
