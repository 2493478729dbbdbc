"""``/``: signing in with a link, and a plain page while there is no other."""

import html
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, SecretStr

from api.access import COOKIE
from api.problems import FORBIDDEN, UNAUTHENTICATED, ApiError, responses
from api.services import Services

router = APIRouter(tags=["session"])

_Services = Annotated[Services, Depends(Services.of)]
_MOST_CHARACTERS = 200

_SIGNED_IN = """
<p>From a gigapixel pathology slide to a verified tumour mask. Research software, not a medical
device.</p>
<p>You are signed in. The programming interface is under <code>/v1</code> and described in
<a href="/v1/openapi.json">/v1/openapi.json</a>; these are its
<a href="/v1/slides">slides</a>, <a href="/v1/jobs">jobs</a> and <a href="/v1/models">models</a>.
</p>
"""
#: The link: a browser that came here from another site sends the cookie with the next step only.
_SIGNED_OUT = """
<p>You are not signed in. Open the address with <code>?token=</code> that <code>wsi serve</code>
printed when it started. If you have just done so, <a href="/">go on</a>.</p>
<p>Programs send a key as <code>Authorization: Bearer KEY</code>;
<code>wsi keys create</code> makes keys.</p>
"""


class SignIn(BaseModel):
    """A key, to be kept in the browser's cookie."""

    key: Annotated[SecretStr, Field(min_length=1, max_length=_MOST_CHARACTERS)]


@router.get("/", include_in_schema=False)
def open_page(
    request: Request,
    services: _Services,
    token: Annotated[str | None, Query(max_length=_MOST_CHARACTERS)] = None,
) -> Response:
    """Sign in with ``?token=``, or show where things are."""
    if token is not None:
        if services.keys.find(token) is None:
            return _page("This address is no longer good", _SIGNED_OUT, 401)
        answer = RedirectResponse("/", 303)
        _set_cookie(request, answer, token)
        return answer
    secret = request.cookies.get(COOKIE)
    if secret is None or services.keys.find(secret) is None:
        return _page("WSI Pipeline", _SIGNED_OUT, 401)
    return _page("WSI Pipeline", _SIGNED_IN, 200)


@router.post("/v1/session", status_code=204, responses=responses(401, 403, 422))
def sign_in(sign: SignIn, request: Request, response: Response, services: _Services) -> None:
    """Keep a key in this browser's cookie, out of reach of scripts."""
    origin = request.headers.get("origin")
    if origin is not None and origin.split("://", 1)[-1] != request.headers.get("host"):
        raise ApiError(FORBIDDEN, "this request comes from another site")
    secret = sign.key.get_secret_value()
    if services.keys.find(secret) is None:
        raise ApiError(UNAUTHENTICATED, "this key is unknown, expired or revoked")
    _set_cookie(request, response, secret)


@router.delete("/v1/session", status_code=204)
def sign_out(response: Response) -> None:
    """Forget the key in this browser's cookie; the key itself stays good."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _set_cookie(request: Request, response: Response, secret: str) -> None:
    # No age: it ends with the browser.
    response.set_cookie(
        COOKIE, secret, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )


def _page(title: str, body: str, status: int) -> HTMLResponse:
    """A page that needs neither style nor script, so that nothing inline has to be allowed."""
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>{body}</body>\n</html>\n"
    )
    return HTMLResponse(text, status)
