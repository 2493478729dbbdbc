"""Who asks: the key in ``Authorization: Bearer``, or that of the cookie's session; its scope."""

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from api.dependencies import Services
from api.problems import FORBIDDEN, UNAUTHENTICATED, ApiError
from wsi_pipeline.service.access import Access, Scope

#: Holds a session's secret, never a key; ``HttpOnly`` and ``SameSite=Strict``.
COOKIE = "wsi_session"
_UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}

_bearer = HTTPBearer(auto_error=False, description="An API key, or the token printed at start")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False)


def _who(
    request: Request,
    services: Annotated[Services, Depends(Services.of)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Access:
    if bearer is not None:
        access = services.keys.find(bearer.credentials)
    else:
        access = services.sessions.find(cookie) if cookie else None
    if access is None:
        raise ApiError(
            UNAUTHENTICATED,
            "send an API key as `Authorization: Bearer KEY`; `wsi keys create` makes one",
            {"WWW-Authenticate": "Bearer"},
        )
    if bearer is None and request.method in _UNSAFE:
        require_same_origin(request)
    request.state.access = access
    return access


def require_same_origin(request: Request, *, stated: bool = True) -> None:
    """Refuse what a page of another site asks: a cookie alone could be sent by any page.

    Args:
        request: The request.
        stated: Also refuse what states no origin; browsers state it where something may change.

    Raises:
        ApiError: it comes from elsewhere.
    """
    origin = request.headers.get("origin")
    if origin is None and not stated:
        return
    scheme, _, host = (origin or "").partition("://")
    # Where we are known to be reached by https, a page of ours that came by http may be anybody's.
    # Not the other way round: of a proxy that is not trusted we do not know what it speaks.
    forged = scheme != "https" and request.url.scheme == "https"
    if not host or host != request.headers.get("host") or forged:
        raise ApiError(FORBIDDEN, "this request comes from another site")


class _Needs:
    """Dependency: the caller's access, if its scope is enough."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    # Waits for nothing, so it needs no thread: hops to threads are most of what a tile costs.
    async def __call__(self, access: Annotated[Access, Depends(_who)]) -> Access:
        if not access.scope.includes(self._scope):
            raise ApiError(
                FORBIDDEN, f"this needs a key of scope {self._scope}; yours is {access.scope}"
            )
        return access


#: For routes: ``access: Viewer`` and so on.
Viewer = Annotated[Access, Depends(_Needs(Scope.VIEW))]
Submitter = Annotated[Access, Depends(_Needs(Scope.SUBMIT))]
Administrator = Annotated[Access, Depends(_Needs(Scope.ADMIN))]
