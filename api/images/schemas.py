"""What ``/v1/images`` takes and answers in JSON."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Path, Query
from pydantic import BaseModel, Field

from api.dependencies import Services
from api.jobs.notes import NoteAuthor
from api.schemas import MODEL_NAME, SHA256, ProblemOut, timestamp
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.image_labels import GivenLabel
from wsi_pipeline.service.images import ListedImage
from wsi_pipeline.service.question import QuestionState

ID = r"^[0-9a-f]{32}$"
ImageId = Annotated[str, Path(pattern=ID, description="Id of an image")]
ModelQuery = Annotated[
    str | None,
    Query(
        pattern=MODEL_NAME,
        max_length=200,
        description="Name of the model package whose answer is wanted, as `/v1/models` lists them",
    ),
]


class ClassifyAnswer(BaseModel):
    """What a model says of an image; the same as `wsi classify` says of its file."""

    width: Annotated[int, Field(description="In px, upright")]
    height: Annotated[int, Field(description="In px, upright")]
    warnings: Annotated[list[str], Field(description="What to know of how it was read")]
    probabilities: Annotated[
        dict[str, float], Field(description="Of each class of the model, calibrated")
    ]
    called: Annotated[
        list[str], Field(description="Its class; of a multilabel model all that it shows, or none")
    ]
    set: Annotated[
        list[str] | None,
        Field(description="The prediction set; null where the package makes none"),
    ]
    review: Annotated[
        bool | None,
        Field(description="Whether a person has to look again: the set is not of one class"),
    ]
    reason: Annotated[str, Field(description="Why to look again; empty: no reason")]
    coverage: Annotated[
        float, Field(description="Share of the images whose set shall hold the true class")
    ]


class LabelOut(BaseModel):
    """What one user says the image shows."""

    author: NoteAuthor
    label: str
    changed_at: datetime

    @classmethod
    def of(cls, given: GivenLabel) -> Self:
        """From the store's."""
        return cls(
            author=NoteAuthor(key_id=given.key_id, name=given.key_name),
            label=given.label,
            changed_at=timestamp(given.changed_at),
        )


class ImageOut(BaseModel):
    """An image of the workspace, with the answer of the model that was asked for."""

    id: str
    name: Annotated[str, Field(description="As it was given, with folders")]
    sha256: Annotated[str, Field(pattern=SHA256)]
    size_bytes: int
    created_at: datetime
    state: Annotated[
        QuestionState | None,
        Field(
            description="Of the answer: queued → running → answered | failed | cancelled; null: "
            "the model was not asked"
        ),
    ]
    answer: Annotated[ClassifyAnswer | None, Field(description="What the model says")]
    problem: Annotated[ProblemOut | None, Field(description="Why there is no answer")]
    label: Annotated[str | None, Field(description="The caller's own label")]
    labels: Annotated[list[LabelOut], Field(description="Of all users, the oldest first")]

    @classmethod
    def of(cls, listed: ListedImage, labels: list[GivenLabel], access: Access) -> Self:
        """From the store's, as the caller sees it."""
        image, question = listed.image, listed.question
        state = None if question is None else question.state
        answer: dict[str, Any] | None = None
        problem: dict[str, Any] | None = None
        if question is not None:
            answer = question.answer if state is QuestionState.ANSWERED else None
            problem = question.problem if state is QuestionState.FAILED else None
        return cls(
            id=image.id,
            name=image.name,
            sha256=image.sha256,
            size_bytes=image.size_bytes,
            created_at=timestamp(image.created_at),
            state=state,
            answer=None if answer is None else ClassifyAnswer.model_validate(answer),
            problem=None if problem is None else ProblemOut.model_validate(problem),
            label=next((one.label for one in labels if one.key_id == access.key_id), None),
            labels=[LabelOut.of(one) for one in labels],
        )


def images_out(services: Services, access: Access, listed: list[ListedImage]) -> list[ImageOut]:
    """Images with their labels; blocks."""
    labels = services.image_labels.of_images([one.image.id for one in listed])
    return [ImageOut.of(one, labels.get(one.image.id, []), access) for one in listed]
