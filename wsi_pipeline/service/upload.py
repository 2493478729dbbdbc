"""One upload, as the store tells of it, and the states it can be in."""

import enum
from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

from wsi_pipeline.errors import WsiError


class GoneError(WsiError):
    """The upload expired or was given up; what was sent is no more."""


class UploadState(enum.StrEnum):
    """States of an upload: open → complete | expired | terminated."""

    OPEN = "open"
    #: All bytes are here and are a slide.
    COMPLETE = "complete"
    #: Nobody continued it in time.
    EXPIRED = "expired"
    #: Somebody gave it up.
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload.

    Attributes:
        id: Its id; its bytes are in the spool under this name until they are checked.
        workspace_id: Whose it is.
        name: What the user calls the slide.
        length: Bytes in all.
        offset: Bytes that are on disk for certain.
        metadata: ``Upload-Metadata`` as it came.
        state: See :class:`UploadState`.
        expires_at: Removed then unless it is continued, s since 1970.
        slide_id: The slide it became.
    """

    id: str
    workspace_id: str
    name: str
    length: int
    offset: int
    metadata: str
    state: UploadState
    expires_at: float
    slide_id: str | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        facts = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**facts, "state": UploadState(row["state"])})
