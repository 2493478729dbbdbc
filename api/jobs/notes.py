"""``/v1/jobs/{id}/notes``: what people say of the regions a model found.

Reading needs the scope ``view``: whoever may see a result may see what colleagues think of it.
Writing needs ``submit``, as everything that leaves something behind does. A key of scope ``view``
is what is handed to a screen, a script or a guest, and nobody could tell whose opinion its notes
were. Each key writes and removes its own notes only, an administrator's too.
"""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.access import Submitter, Viewer
from api.dependencies import Services
from api.jobs.routes import JobId
from api.problems import responses
from api.schemas import kept_whole, timestamp
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.notes import MAX_COMMENT, Note, Verdict

router = APIRouter(prefix="/v1/jobs/{job_id}/notes", tags=["notes"])

_Services = Annotated[Services, Depends(Services.of)]
RegionNumber = Annotated[
    int,
    Path(ge=1, le=50_000_000, description="Number of a region; 1 is the most suspicious"),
]


class NoteOrder(BaseModel):
    """What is to be kept; a note that says nothing is none."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    verdict: Annotated[
        Verdict | None, Field(description="Whether the user agrees with the model")
    ] = None
    comment: Annotated[
        str,
        Field(
            max_length=MAX_COMMENT,
            # Text with line breaks and tabs; PostgreSQL could not keep NUL.
            json_schema_extra={"pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"},
            description="Free text, shown to the workspace; blanks around it are dropped",
        ),
        AfterValidator(kept_whole),
    ] = ""


class NoteAuthor(BaseModel):
    """Whose note it is: a user is an API key."""

    key_id: str
    name: Annotated[str, Field(description="Name of the key")]


class NoteOut(BaseModel):
    """One user's note on one region."""

    region: Annotated[int, Field(description="Number of the region, as in findings and GeoJSON")]
    verdict: Verdict | None
    comment: str
    author: NoteAuthor
    mine: Annotated[bool, Field(description="Written with the key of this request")]
    changed_at: datetime

    @classmethod
    def of(cls, note: Note, access: Access) -> Self:
        """From the store's, as the caller sees it."""
        return cls(
            region=note.region,
            verdict=note.verdict,
            comment=note.comment,
            author=NoteAuthor(key_id=note.key_id, name=note.key_name),
            mine=note.key_id == access.key_id,
            changed_at=timestamp(note.changed_at),
        )


class NoteList(BaseModel):
    """The workspace's notes on a result, by region, then the oldest first."""

    notes: list[NoteOut]


@router.get("", responses=responses(404, 409, 422))
def list_notes(job_id: JobId, access: Viewer, services: _Services) -> NoteList:
    """All notes of the workspace on the job's result.

    Also those written through another job of identical work, which has the same result.
    """
    found = services.notes.of_job(access, job_id)
    return NoteList(notes=[NoteOut.of(note, access) for note in found])


@router.put("/{region}", responses=responses(404, 409, 422))
def write_note(
    job_id: JobId, region: RegionNumber, order: NoteOrder, access: Submitter, services: _Services
) -> NoteOut | None:
    """Write the caller's note on a region, in place of the one before.

    The same again changes nothing. Without verdict and comment the note is removed, and the
    answer is null.
    """
    note = services.notes.write(access, job_id, region, order.verdict, order.comment)
    return None if note is None else NoteOut.of(note, access)


@router.delete("/{region}", status_code=204, responses=responses(404, 409, 422))
def delete_note(
    job_id: JobId, region: RegionNumber, access: Submitter, services: _Services
) -> None:
    """Remove the caller's note on a region; it is no error if there is none."""
    services.notes.remove(access, job_id, region)
