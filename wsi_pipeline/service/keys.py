"""API keys: 32 random bytes, kept as their SHA-256, in workspaces, with scopes."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.audit import SYSTEM, note
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.tables import api_keys, new_id, workspaces
from wsi_pipeline.service.text import check_label

DEFAULT_WORKSPACE = "default"
#: Begins every key, so that one that leaked into a repository or a log can be found.
PREFIX = "wsi_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown: everything but the key. Times in s since 1970."""

    id: str
    workspace: str
    name: str
    scope: Scope
    created_at: float
    expires_at: float | None
    revoked_at: float | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of keys joined with their workspaces."""
        facts = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**facts, "scope": Scope(row["scope"])})


class ApiKeys:
    """Makes, finds and revokes keys.

    Args:
        database: Holds their hashes.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, workspace: str, name: str, scope: Scope, lifetime_seconds: float | None = None
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can show again. The workspace is made if new.

        Raises:
            UsageError: a name is empty, too long, or holds what cannot be shown.
        """
        secret = PREFIX + secrets.token_urlsafe(32)
        return self._store(workspace, name, scope, secret, lifetime_seconds), secret

    def ensure_console(self, secret: str) -> None:
        """Make the key printed at start an administrator of the default workspace.

        Raises:
            UsageError: the key was revoked; it does not come back.
        """
        if self.find(secret) is not None:
            return
        try:
            self._store(DEFAULT_WORKSPACE, "console", Scope.ADMIN, secret, None)
        except sa.exc.IntegrityError as error:
            if self.find(secret) is None:  # else another server was faster
                raise UsageError("this token was revoked; choose another") from error

    def find(self, secret: str) -> Access | None:
        """Who holds this key; None if it is unknown, expired or revoked."""
        sha256 = digest(secret)
        wanted = sa.select(api_keys).where(api_keys.c.sha256 == sha256, unspent())
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None or not hmac.compare_digest(row["sha256"], sha256):
            return None
        return Access(row["workspace_id"], row["id"], Scope(row["scope"]))

    def describe(self, access: Access) -> ApiKey:
        """The key somebody asks with."""
        with self._database.read() as connection:
            wanted = _shown().where(api_keys.c.id == access.key_id)
            return ApiKey.of(connection.execute(wanted).mappings().one())

    def list(self) -> list[ApiKey]:
        """All keys, revoked ones too, by workspace and age."""
        wanted = _shown().order_by(workspaces.c.name, api_keys.c.created_at)
        with self._database.read() as connection:
            return [ApiKey.of(row) for row in connection.execute(wanted).mappings()]

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key worthless from now on, and with it its sessions and links.

        Raises:
            UsageError: there is no such key.
        """
        with self._database.write() as connection:
            connection.execute(
                api_keys.update()
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=now())
            )
            row = connection.execute(_shown().where(api_keys.c.id == key_id)).mappings().first()
            if row is None:
                raise UsageError(f"there is no key {key_id}; `wsi keys list` shows them")
            note(connection, SYSTEM, "key.revoke", key_id)
            return ApiKey.of(row)

    def _store(
        self,
        workspace: str,
        name: str,
        scope: Scope,
        secret: str,
        lifetime_seconds: float | None,
    ) -> ApiKey:
        check_label("workspace", workspace)
        check_label("key", name)
        with self._database.write() as connection:
            found = workspace_id(connection, workspace)
            key_id = new_id()
            expires = None if lifetime_seconds is None else now() + lifetime_seconds
            connection.execute(
                api_keys.insert().values(
                    id=key_id,
                    workspace_id=found,
                    name=name,
                    sha256=digest(secret),
                    scope=scope,
                    created_at=now(),
                    expires_at=expires,
                )
            )
            note(connection, SYSTEM, "key.create", key_id, scope=scope, workspace=workspace)
            row = connection.execute(_shown().where(api_keys.c.id == key_id)).mappings().one()
            return ApiKey.of(row)


def unspent() -> sa.ColumnElement[bool]:
    """The keys that are neither revoked nor expired."""
    lasts = sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now())
    return sa.and_(api_keys.c.revoked_at.is_(None), lasts)


def workspace_id(connection: sa.Connection, name: str) -> str:
    """The workspace of a name; it is made if new."""
    wanted = sa.select(workspaces.c.id).where(workspaces.c.name == name)
    found: str | None = connection.execute(wanted).scalar_one_or_none()
    if found is None:
        found = new_id()
        connection.execute(workspaces.insert().values(id=found, name=name, created_at=now()))
    return found


def _shown() -> sa.Select[tuple[object, ...]]:
    return sa.select(
        api_keys.c.id,
        workspaces.c.name.label("workspace"),
        api_keys.c.name,
        api_keys.c.scope,
        api_keys.c.created_at,
        api_keys.c.expires_at,
        api_keys.c.revoked_at,
    ).join(workspaces, workspaces.c.id == api_keys.c.workspace_id)


def digest(secret: str) -> str:
    """What is kept of a key or session: its SHA-256 in hex."""
    # What is presented may be no text at all; then it is no key of ours, but no failure either.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
