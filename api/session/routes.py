"""``/v1/session``: this browser's session. ``/v1/sessions``: all that a key, or its workspace, has.

A browser gets a random session id in a cookie that no script can read, never the key.
"""

import logging
from datetime import datetime
from typing import Annotated, Self

import anyio
import sqlalchemy as sa
from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field, SecretStr

from api.access import COOKIE, Viewer, require_same_origin
from api.dependencies import Services
from api.problems import NOT_FOUND, UNAUTHENTICATED, ApiError, responses
from api.schemas import timestamp
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.sessions import Session

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1", tags=["session"])

#: No key is longer.
MOST_CHARACTERS = 200

_Services = Annotated[Services, Depends(Services.of)]
SessionId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of a session")]


class SignIn(BaseModel):
    """A key to begin a session with."""

    key: Annotated[SecretStr, Field(min_length=1, max_length=MOST_CHARACTERS)]


class SessionOut(BaseModel):
    """Whether this browser is signed in, and as whom."""

    signed_in: bool
    key_id: Annotated[str | None, Field(description="Of the key it signed in with; never the key")]
    key_name: Annotated[str | None, Field(description="Name of the key")]
    workspace: Annotated[str | None, Field(description="Name of the workspace")]
    scope: Annotated[Scope | None, Field(description="Scope of the key")]

    @classmethod
    def of(cls, services: Services, access: Access | None) -> Self:
        """Of a browser's session; None where it has none that is good."""
        if access is None:
            return cls(signed_in=False, key_id=None, key_name=None, workspace=None, scope=None)
        key = services.keys.describe(access)
        return cls(
            signed_in=True,
            key_id=key.id,
            key_name=key.name,
            workspace=key.workspace,
            scope=key.scope,
        )


class ListedSession(BaseModel):
    """A browser that is signed in."""

    id: Annotated[str, Field(description="To sign the session out; it cannot be used to sign in")]
    key_id: str
    key_name: Annotated[str, Field(description="What the key is called")]
    scope: Annotated[Scope, Field(description="Scope of the key")]
    current: Annotated[bool, Field(description="It is the one that asks")]
    created_at: datetime
    used_at: Annotated[datetime, Field(description="When it was last used, to a minute")]
    idle_until: Annotated[datetime, Field(description="It ends then unless it is used before")]
    expires_at: Annotated[datetime, Field(description="It ends then in any case")]

    @classmethod
    def of(cls, session: Session, access: Access) -> Self:
        """From the store's, as the caller sees it."""
        return cls(
            id=session.id,
            key_id=session.key_id,
            key_name=session.key_name,
            scope=session.scope,
            current=session.id == access.session_id,
            created_at=timestamp(session.created_at),
            used_at=timestamp(session.used_at),
            idle_until=timestamp(session.idle_until),
            expires_at=timestamp(session.expires_at),
        )


class SessionList(BaseModel):
    """Browsers that are signed in, by key, then the oldest first."""

    sessions: list[ListedSession]


@router.get("/session")
def tell_session(request: Request, services: _Services) -> SessionOut:
    """Whether this browser is signed in. Never an error: a page asks this before all else."""
    return SessionOut.of(services, browser_of(request, services))


@router.post("/session", status_code=204, responses=responses(401, 403, 422))
def sign_in(sign: SignIn, request: Request, response: Response, services: _Services) -> None:
    """Begin a session with a key: its id goes into a cookie, out of reach of scripts.

    A session that this browser had before ends.
    """
    require_same_origin(request, stated=False)
    if not begin(request, response, services, sign.key.get_secret_value()):
        raise ApiError(UNAUTHENTICATED, "this key is unknown, expired or revoked")


@router.delete("/session", status_code=204, responses=responses(403))
def sign_out(request: Request, response: Response, services: _Services) -> None:
    """End this browser's session, here and on the server; the key stays good."""
    require_same_origin(request, stated=False)
    access = browser_of(request, services)
    if access is not None and access.session_id is not None:
        services.sessions.end(access.session_id, access)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_secure(request))


@router.get("/sessions")
def list_sessions(access: Viewer, services: _Services) -> SessionList:
    """Browsers that are signed in with the caller's key; for an administrator, the workspace's."""
    found = services.sessions.list(access)
    return SessionList(sessions=[ListedSession.of(session, access) for session in found])


@router.delete("/sessions/{session_id}", status_code=204, responses=responses(404, 422))
def end_session(session_id: SessionId, access: Viewer, services: _Services) -> None:
    """Sign a browser out, one of those that `GET /v1/sessions` lists."""
    if not services.sessions.end(session_id, access):
        raise ApiError(NOT_FOUND, f"there is no session {session_id}")


async def keep_renewing(services: Services) -> None:
    """Write down now and then which sessions were used, apart from the requests that use them."""
    while True:
        await anyio.sleep(services.sessions.renew_seconds)
        await renew(services)


async def renew(services: Services) -> None:
    """Write down which sessions were used."""
    try:
        await to_thread.run_sync(services.sessions.renew)
    except sa.exc.SQLAlchemyError as error:  # written the next time
        log.warning("the use of sessions could not be written down", exc_info=error)


def browser_of(request: Request, services: Services) -> Access | None:
    """Who is signed in in the browser that asks; None without a good session."""
    secret = request.cookies.get(COOKIE)
    return services.sessions.find(secret) if secret else None


def begin(request: Request, response: Response, services: Services, key: str) -> bool:
    """Begin a session, whose id the browser then sends with what it asks next.

    Returns:
        False if the key is unknown, expired or revoked; then nothing has changed.
    """
    # A new id each time: one that somebody else may have put there (fixation) is worth nothing.
    started = services.sessions.start(key, instead_of=request.cookies.get(COOKIE))
    if started is None:
        return False
    _, secret = started
    # No age: it ends with the browser, if not before.
    response.set_cookie(
        COOKIE, secret, httponly=True, samesite="strict", secure=_is_secure(request)
    )
    return True


def _is_secure(request: Request) -> bool:
    """Whether the browser came by https, by what a trusted proxy says."""
    return request.url.scheme == "https"
