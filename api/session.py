"""``/v1/session``: the key a browser keeps in its cookie, out of reach of scripts."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, SecretStr

from api.access import COOKIE
from api.problems import FORBIDDEN, UNAUTHENTICATED, ApiError, responses
from api.services import Services
from wsi_pipeline.jobs.access import Access, Scope

router = APIRouter(prefix="/v1/session", tags=["session"])

#: No key is longer.
MOST_CHARACTERS = 200

_Services = Annotated[Services, Depends(Services.of)]


class SignIn(BaseModel):
    """A key, to be kept in the browser's cookie."""

    key: Annotated[SecretStr, Field(min_length=1, max_length=MOST_CHARACTERS)]


class SessionOut(BaseModel):
    """Whether this browser is signed in, and as whom."""

    signed_in: bool
    key_id: Annotated[str | None, Field(description="Of the key in the cookie; never the key")]
    key_name: Annotated[str | None, Field(description="What it is called")]
    workspace: Annotated[str | None, Field(description="Name of the workspace")]
    scope: Annotated[Scope | None, Field(description="What it may do")]

    @classmethod
    def of(cls, services: Services, access: Access | None) -> Self:
        """Of a browser's key; None where it has none that is good."""
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


@router.get("")
def tell_session(request: Request, services: _Services) -> SessionOut:
    """Whether this browser is signed in. Never an error: a page asks this before all else."""
    return SessionOut.of(services, browser_of(request, services))


@router.post("", status_code=204, responses=responses(401, 403, 422))
def sign_in(sign: SignIn, request: Request, response: Response, services: _Services) -> None:
    """Keep a key in this browser's cookie, out of reach of scripts."""
    origin = request.headers.get("origin")
    if origin is not None and origin.split("://", 1)[-1] != request.headers.get("host"):
        raise ApiError(FORBIDDEN, "this request comes from another site")
    secret = sign.key.get_secret_value()
    if services.keys.find(secret) is None:
        raise ApiError(UNAUTHENTICATED, "this key is unknown, expired or revoked")
    keep(request, response, secret)


@router.delete("", status_code=204)
def sign_out(response: Response) -> None:
    """Forget the key in this browser's cookie; the key itself stays good."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def browser_of(request: Request, services: Services) -> Access | None:
    """Who holds the key in a request's cookie; None without a good one."""
    secret = request.cookies.get(COOKIE)
    return services.keys.find(secret) if secret else None


def keep(request: Request, response: Response, secret: str) -> None:
    """Let the browser that gets an answer send a key with what it asks next."""
    # No age: it ends with the browser.
    response.set_cookie(
        COOKIE, secret, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
