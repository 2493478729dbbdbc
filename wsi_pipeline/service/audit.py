"""The audit log: every change with who and when, each line bound to the one before it.

A line's hash covers its content and the previous line's hash, so that a line altered, removed or
slipped in later breaks the chain from there on. Who holds the last hash (``wsi audit verify``
prints it) can also tell whether the end was cut off.
"""

import hashlib
import json
from typing import Any

import sqlalchemy as sa

from wsi_pipeline.errors import WsiError
from wsi_pipeline.service.access import Access
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.tables import audit

#: The actor where no key acts: the command line on the server, or the service itself.
SYSTEM = "system"
#: What the first line follows.
_BEGINNING = "0" * 64
#: PostgreSQL's advisory lock that orders the writers of the chain.
_LOCK = 0x5753495F41554449


class BrokenChainError(WsiError):
    """The audit log was altered."""


def note(
    connection: sa.Connection,
    actor: Access | str,
    action: str,
    object_id: str | None = None,
    **details: Any,
) -> None:
    """Add a line in the transaction of the change it tells of.

    Args:
        connection: The transaction.
        actor: Whose key, or :data:`SYSTEM`.
        action: ``object.verb``.
        object_id: Of what was changed.
        details: Facts without names of files or people.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = connection.execute(
        sa.select(audit.c.id, audit.c.sha256).order_by(audit.c.id.desc()).limit(1)
    ).first()
    number, previous = (last.id, last.sha256) if last else (0, _BEGINNING)
    at: float = connection.execute(sa.select(now())).scalar_one()
    line = {
        "id": number + 1,
        "at": at,
        "workspace_id": None if isinstance(actor, str) else actor.workspace_id,
        "actor": actor if isinstance(actor, str) else actor.key_id,
        "action": action,
        "object_id": object_id,
        "details": json.dumps(details, sort_keys=True, default=str),
        "previous": previous,
    }
    connection.execute(audit.insert().values(**line, sha256=_sha256(line)))


def verify_chain(database: Database) -> tuple[int, str]:
    """Recompute the chain.

    Returns:
        How many lines there are, and the last one's hash.

    Raises:
        BrokenChainError: a line was altered, removed or inserted; the message says which.
    """
    count, previous = 0, _BEGINNING
    with database.read() as connection:
        for row in connection.execute(sa.select(audit).order_by(audit.c.id)).mappings():
            line = {key: row[key] for key in row if key != "sha256"}
            if row["id"] != count + 1:
                raise BrokenChainError(f"audit line {count + 1} is missing")
            if row["previous"] != previous or row["sha256"] != _sha256(line):
                raise BrokenChainError(f"audit line {row['id']} was altered")
            count, previous = row["id"], row["sha256"]
    return count, previous


def _sha256(line: dict[str, Any]) -> str:
    text = json.dumps(line, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
