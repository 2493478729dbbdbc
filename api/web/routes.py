"""``/``, ``/images``, ``/slides/{id}``, ``/on-this-computer``, ``/assets/…``: the pages, as built.

The pages are files and hold no data: everybody gets them, and what they show they ask ``/v1`` for
with the cookie's session, or ask for a key. They are looked for in the installed package
(``api/pages``) and beside it in a checkout (``web/dist``); without them there are plain pages.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

import api
from api.dependencies import Services
from api.problems import NOT_FOUND, ApiError
from api.session.routes import MOST_CHARACTERS, begin, browser_of
from api.web import plain_pages as page

router = APIRouter(include_in_schema=False)

#: What the pages may load: their own files, and pictures they make themselves. Nothing inline.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
#: Of assets: it holds for the workers among them, one of which compiles WebAssembly of ours.
_ASSET_POLICY = CONTENT_SECURITY_POLICY.replace(
    "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'"
)
_INDEX = "index.html"
#: Their names hold a hash of what is in them.
_FOR_EVER = "public, max-age=31536000, immutable"
#: A file right in the folder of assets: no part of it leads anywhere else.
_ASSET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")
#: Not the system's table, which differs from host to host.
_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
_SLIDE = re.compile(r"[0-9a-f]{32}")

_Services = Annotated[Services, Depends(Services.of)]
Token = Annotated[str | None, Query(max_length=MOST_CHARACTERS)]


@dataclass(frozen=True, slots=True)
class Pages:
    """The built pages.

    Attributes:
        folder: Holds ``index.html`` and ``assets``; None where there are none.
    """

    folder: Path | None

    @classmethod
    def find(cls) -> Self:
        """Those of this installation."""
        package = Path(api.__file__).resolve().parent
        places = (package / "pages", package.parent / "web" / "dist")
        return cls(next((place for place in places if (place / _INDEX).is_file()), None))

    @staticmethod
    async def of(request: Request) -> "Pages":
        """The application's, for routes."""
        return cast("Pages", request.app.state.pages)

    def index(self) -> Path | None:
        """The page; None where there is none, or none any more."""
        path = self.folder and self.folder / _INDEX
        return path if path and path.is_file() else None

    def asset(self, name: str) -> Path | None:
        """A file the page loads; None if there is none of this name."""
        if self.folder is None or not _ASSET.fullmatch(name):
            return None
        path = self.folder / "assets" / name
        return path if path.is_file() and not path.is_symlink() else None


_Pages = Annotated[Pages, Depends(Pages.of)]


@router.api_route("/", methods=["GET", "HEAD"])
def open_worklist(
    request: Request, services: _Services, pages: _Pages, token: Token = None
) -> Response:
    """The worklist; with ``?token=``, signing in first."""
    return _open(request, services, pages, "/", token)


@router.api_route("/slides/{slide_id}", methods=["GET", "HEAD"])
def open_viewer(
    slide_id: str, request: Request, services: _Services, pages: _Pages, token: Token = None
) -> Response:
    """The viewer; with ``?token=``, signing in first."""
    if _SLIDE.fullmatch(slide_id):
        return _open(request, services, pages, f"/slides/{slide_id}", token)
    index = pages.index()
    if index is None:
        raise ApiError(NOT_FOUND, "there is no such page")
    return _file(index, "text/html", "no-store", 404)


@router.api_route("/images", methods=["GET", "HEAD"])
def open_images(
    request: Request, services: _Services, pages: _Pages, token: Token = None
) -> Response:
    """Single images with their classes; with ``?token=``, signing in first."""
    return _open(request, services, pages, "/images", token)


@router.api_route("/on-this-computer", methods=["GET", "HEAD"])
def open_on_this_computer(
    request: Request, services: _Services, pages: _Pages, token: Token = None
) -> Response:
    """Images that are classified in the browser; with ``?token=``, signing in first."""
    return _open(request, services, pages, "/on-this-computer", token)


@router.api_route("/assets/{name}", methods=["GET", "HEAD"])
def get_asset(name: str, pages: _Pages) -> Response:
    """A file the pages load."""
    path = pages.asset(name)
    media_type = path and _MEDIA_TYPES.get(path.suffix)
    if not path or not media_type:
        raise ApiError(NOT_FOUND, "there is no such file")
    return _file(path, media_type, _FOR_EVER, policy=_ASSET_POLICY)


def _open(
    request: Request, services: Services, pages: Pages, path: str, token: str | None
) -> Response:
    """A page, or after signing in the way back to it without the token.

    Args:
        request: The request.
        services: The application's.
        pages: Those that were built.
        path: Of the page: one of ours, never what somebody wrote.
        token: A key to sign in with.
    """
    if token is not None:
        rest = [item for item in request.query_params.multi_items() if item[0] != "token"]
        answer = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
        # Who only asks for the head, as what previews links does, is nobody's browser.
        is_good = (
            begin(request, answer, services, token)
            if request.method == "GET"
            else services.keys.find(token) is not None
        )
        return answer if is_good else page.bad_link()
    index = pages.index()
    if index is not None:
        return _file(index, "text/html", "no-store")
    is_signed_in = browser_of(request, services) is not None
    return page.signed_in() if is_signed_in else page.signed_out()


def _file(
    path: Path,
    media_type: str,
    caching: str,
    status: int = 200,
    policy: str = CONTENT_SECURITY_POLICY,
) -> FileResponse:
    headers = {"Content-Security-Policy": policy, "Cache-Control": caching}
    return FileResponse(path, status, headers, media_type)
