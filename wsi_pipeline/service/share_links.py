"""ShareLinks: whoever holds one may read one result's mask for a while, without a key.

Viewers such as vizarr and QuPath open a store by its address and can send no key. A pass stands in
the address instead: the key it was made with, the job, when it ends, and an HMAC-SHA256 (RFC 2104)
over these under what is kept of the key. Nothing else has to be kept, and nobody can make one
without the database. It ends with its time, with its key and with its job.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

import sqlalchemy as sa

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.audit import note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.results import JobResult
from wsi_pipeline.service.keys import unspent
from wsi_pipeline.service.tables import api_keys

#: Longest a pass lasts, s.
MOST_SECONDS = 30 * 86400
_MADE = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{32})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A pass that is good.

    Attributes:
        access: The right to read, in the workspace of the key it was made with.
        job_id: The one job whose result may be read.
    """

    access: Access
    job_id: str


class ShareLinks:
    """Makes and finds passes.

    Args:
        database: Holds the keys.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, access: Access, found: JobResult, lifetime_seconds: int) -> tuple[str, float]:
        """A new pass for a job's result, and when it ends, s since 1970.

        Args:
            access: Whose it is, and with whose key it ends.
            found: The result of a job of the caller's workspace.
            lifetime_seconds: How long it lasts.

        Raises:
            UsageError: it would end too late, or at once.
        """
        if not 0 < lifetime_seconds <= MOST_SECONDS:
            raise UsageError(f"a link lasts 1 s to {MOST_SECONDS // 86400} days")
        with self._database.write() as connection:
            kept, at = connection.execute(
                sa.select(api_keys.c.sha256, now()).where(api_keys.c.id == access.key_id)
            ).one()
            ends_at = int(at) + lifetime_seconds
            note(connection, access, "result.share", found.job_id, ends_at=ends_at)
        said = f"{access.key_id}.{found.job_id}.{ends_at}"
        return f"{said}.{_seal(kept, said)}", float(ends_at)

    def find(self, text: str) -> ShareLink | None:
        """What a pass allows; None if it is none of ours, or is not good any more."""
        made = _MADE.fullmatch(text)
        if made is None:
            return None
        key_id, job_id, ends_at, seal = made.groups()
        wanted = sa.select(api_keys.c.workspace_id, api_keys.c.sha256).where(
            api_keys.c.id == key_id, unspent(), sa.literal(int(ends_at)) > now()
        )
        with self._database.read() as connection:
            key = connection.execute(wanted).first()
        said, _, _ = text.rpartition(".")
        if key is None or not hmac.compare_digest(_seal(key.sha256, said), seal):
            return None
        return ShareLink(Access(key.workspace_id, key_id, Scope.VIEW), job_id)


def _seal(kept: str, said: str) -> str:
    # The prefix keeps it apart from whatever else may be sealed one day.
    digest = hmac.digest(kept.encode(), b"wsi-pass:" + said.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
