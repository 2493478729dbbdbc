"""Who asks: the key in ``Authorization: Bearer`` or in the session cookie, and its scope."""

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from api.problems import FORBIDDEN, UNAUTHENTICATED, ApiError
from api.services import Services
from wsi_pipeline.jobs.access import Access, Scope

#: Set by the sign-in page; ``HttpOnly`` and ``SameSite=Strict``.
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
    secret = bearer.credentials if bearer else cookie
    access = services.keys.find(secret) if secret else None
    if access is None:
        raise ApiError(
            UNAUTHENTICATED,
            "send an API key as `Authorization: Bearer KEY`; `wsi keys create` makes one",
            {"WWW-Authenticate": "Bearer"},
        )
    if bearer is None and request.method in _UNSAFE and not _same_origin(request):
        raise ApiError(FORBIDDEN, "this request comes from another site")
    request.state.access = access
    return access


def _same_origin(request: Request) -> bool:
    """Whether a page of ours asks: a cookie alone could be sent by any page."""
    origin = request.headers.get("origin")
    return origin is not None and origin.split("://", 1)[-1] == request.headers.get("host")


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
