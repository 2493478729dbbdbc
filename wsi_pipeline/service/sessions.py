"""Browser sessions: 32 random bytes in a cookie, kept as their SHA-256, each bound to one key.

A session is good while nobody ended it, its key is neither revoked nor expired, it was used within
the idle limit and began within the absolute limit (the two time-outs of OWASP's Session Management
Cheat Sheet). Both limits are written into the row when it is made or renewed, by the database's
clock: every process and every command then agrees on what is over.
"""

import hmac
import secrets
import threading
from dataclasses import dataclass, fields
from typing import Any, Self

import sqlalchemy as sa

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.audit import SYSTEM, note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.keys import digest, unspent
from wsi_pipeline.service.tables import api_keys, new_id, sessions, workspaces

_BYTES = 32
#: Longest a use stays unwritten, seconds: a row is written at most once in this time.
_RENEW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it may be shown: everything but the secret. Times in s since 1970.

    Attributes:
        id: Names it in lists and commands; useless as a cookie.
        key_id: Of the API key it was made with.
        key_name: What the key is called.
        workspace: Name of the key's workspace.
        scope: What the key may do.
        created_at: When it began.
        used_at: When it was last used, to a minute.
        idle_until: It ends then unless it is used before.
        expires_at: It ends then in any case.
    """

    id: str
    key_id: str
    key_name: str
    workspace: str
    scope: Scope
    created_at: float
    used_at: float
    idle_until: float
    expires_at: float

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of sessions joined with their keys and workspaces."""
        facts = {field.name: row[field.name] for field in fields(cls)}
        return cls(**{**facts, "scope": Scope(row["scope"])})


class Sessions:
    """Makes, finds, lists and ends sessions.

    Args:
        database: Holds their hashes.
        idle_seconds: A session nobody used for so long is over.
        absolute_seconds: No session lasts longer.
    """

    def __init__(self, database: Database, *, idle_seconds: float, absolute_seconds: float) -> None:
        self._database = database
        self._idle_seconds = idle_seconds
        self._absolute_seconds = absolute_seconds
        #: Sessions used since :meth:`renew` wrote last.
        self._used: set[str] = set()
        self._lock = threading.Lock()

    @property
    def renew_seconds(self) -> float:
        """How often :meth:`renew` is to be called: seldom, but often within the idle limit."""
        return min(_RENEW_SECONDS, self._idle_seconds / 10)

    def start(self, key: str, *, instead_of: str | None = None) -> tuple[Access, str] | None:
        """A new session and its secret, which nobody can show again.

        Args:
            key: The API key it is made with.
            instead_of: Secret of the session that this browser had until now; it ends.

        Returns:
            None if the key is unknown, expired or revoked.
        """
        secret = secrets.token_urlsafe(_BYTES)
        wanted = sa.select(api_keys).where(api_keys.c.sha256 == digest(key), unspent())
        with self._database.write() as connection:
            row = connection.execute(wanted).mappings().first()
            if row is None:
                return None
            access = Access(row["workspace_id"], row["id"], Scope(row["scope"]), new_id())
            connection.execute(
                sessions.insert().values(
                    id=access.session_id,
                    key_id=access.key_id,
                    sha256=digest(secret),
                    created_at=now(),
                    used_at=now(),
                    idle_until=now() + self._idle_seconds,
                    expires_at=now() + self._absolute_seconds,
                )
            )
            if instead_of is not None:
                before = sa.select(sessions.c.id).where(sessions.c.sha256 == digest(instead_of))
                self._end(connection, access, sessions.c.id.in_(before))
            note(connection, access, "session.start", access.session_id)
        return access, secret

    def find(self, secret: str) -> Access | None:
        """Who holds this session; None if it is unknown or over. Counts as use.

        One look-up and nothing written, as for a key: pictures are asked for many times a second.
        """
        sha256 = digest(secret)
        wanted = (
            sa.select(sessions.c.id, sessions.c.sha256, sessions.c.key_id)
            .add_columns(api_keys.c.workspace_id, api_keys.c.scope)
            .join(api_keys, api_keys.c.id == sessions.c.key_id)
            .where(sessions.c.sha256 == sha256, _lasting())
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        if row is None or not hmac.compare_digest(row.sha256, sha256):
            return None
        with self._lock:
            self._used.add(row.id)
        return Access(row.workspace_id, row.key_id, Scope(row.scope), row.id)

    def is_good(self, access: Access) -> bool:
        """Whether a key or session found earlier still is good. Does not count as use."""
        wanted = sa.select(api_keys.c.id).where(api_keys.c.id == access.key_id, unspent())
        if access.session_id is not None:
            wanted = wanted.join(sessions, sessions.c.key_id == api_keys.c.id).where(
                sessions.c.id == access.session_id, _lasting()
            )
        with self._database.read() as connection:
            return connection.execute(wanted).first() is not None

    def renew(self) -> None:
        """Write down which sessions were used since the last call; nothing if none was."""
        with self._lock:
            used, self._used = self._used, set()
        if not used:
            return
        try:
            with self._database.write() as connection:
                connection.execute(
                    sessions.update()
                    .where(sessions.c.id.in_(used), _open())
                    .values(used_at=now(), idle_until=now() + self._idle_seconds)
                )
        except sa.exc.SQLAlchemyError:
            with self._lock:
                self._used |= used
            raise

    def end(self, session_id: str, access: Access | None = None) -> bool:
        """Sign a session out, at once and for good.

        Args:
            session_id: Which.
            access: Who asks, as for :meth:`list`; None is the command line on the server.

        Returns:
            False if there is no such session that is good and that the caller may end.
        """
        with self._database.write() as connection:
            mine = sa.select(api_keys.c.id).where(unspent(), _within_reach(access))
            which = sa.and_(sessions.c.id == session_id, sessions.c.key_id.in_(mine))
            return bool(self._end(connection, access or SYSTEM, which))

    def end_all(self, key_id: str) -> int:
        """Sign out every session of a key, on the command line; returns how many there were.

        Raises:
            UsageError: there is no such key.
        """
        with self._database.write() as connection:
            known = sa.select(api_keys.c.id).where(api_keys.c.id == key_id)
            if connection.execute(known).first() is None:
                raise UsageError(f"there is no key {key_id}; `wsi keys list` shows them")
            return self._end(connection, SYSTEM, sessions.c.key_id == key_id)

    def over(self) -> list[str]:
        """Ids of the sessions :meth:`forget` would remove."""
        with self._database.read() as connection:
            return list(connection.execute(_over()).scalars())

    def forget(self) -> list[str]:
        """Remove the sessions that are over, and those of keys that are; returns their ids."""
        with self._database.write() as connection:
            # Not by a list of ids: a database takes only so many values in one statement.
            gone = sessions.delete().where(sessions.c.id.in_(_over())).returning(sessions.c.id)
            return list(connection.execute(gone).scalars())

    def _end(
        self, connection: sa.Connection, actor: Access | str, which: sa.ColumnElement[bool]
    ) -> int:
        ended = (
            sessions.update().where(which, _open()).values(ended_at=now()).returning(sessions.c.id)
        )
        ids = list(connection.execute(ended).scalars())
        # Last: on PostgreSQL the log is locked from here on.
        for session_id in ids:
            note(connection, actor, "session.end", session_id)
        return len(ids)

    def list(self, access: Access | None = None) -> list[Session]:
        """The sessions that are good, by workspace, key and age.

        Args:
            access: Lists what the caller may end: its own key's, or as an administrator the
                workspace's. None lists all.
        """
        wanted = (
            sa.select(
                sessions,
                api_keys.c.name.label("key_name"),
                api_keys.c.scope,
                workspaces.c.name.label("workspace"),
            )
            .join(api_keys, api_keys.c.id == sessions.c.key_id)
            .join(workspaces, workspaces.c.id == api_keys.c.workspace_id)
            .where(_lasting(), _within_reach(access))
            .order_by(workspaces.c.name, api_keys.c.name, sessions.c.created_at, sessions.c.id)
        )
        with self._database.read() as connection:
            return [Session.of(row) for row in connection.execute(wanted).mappings()]


def _open() -> sa.ColumnElement[bool]:
    """The sessions nobody ended and whose time is not up."""
    return sa.and_(
        sessions.c.ended_at.is_(None),
        sessions.c.idle_until > now(),
        sessions.c.expires_at > now(),
    )


def _lasting() -> sa.ColumnElement[bool]:
    """The sessions that are good; their keys have to be joined."""
    return sa.and_(_open(), unspent())


def _within_reach(access: Access | None) -> sa.ColumnElement[bool]:
    """The keys whose sessions somebody may see and end."""
    if access is None:
        return sa.true()
    if access.scope.includes(Scope.ADMIN):
        return api_keys.c.workspace_id == access.workspace_id
    return api_keys.c.id == access.key_id


def _over() -> sa.Select[Any]:
    keys = sa.select(api_keys.c.id).where(unspent())
    return sa.select(sessions.c.id).where(sa.not_(sa.and_(_open(), sessions.c.key_id.in_(keys))))
