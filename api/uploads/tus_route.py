"""How routes of the tus protocol are declared: their errors, headers and documentation."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Header, Path, Request, Response
from fastapi.routing import APIRoute

from api.problems import ApiError, detail_of, kind_of
from api.uploads.tus import CHECKSUMS, MEDIA_TYPE, SLIDE_HEADER, VERSION
from wsi_pipeline.errors import WsiError


class TusRoute(APIRoute):
    """A route whose errors, too, say which version of tus is spoken."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See :class:`APIRoute`."""
        handle = super().get_route_handler()

        async def handling(request: Request) -> Response:
            try:
                return await handle(request)
            except WsiError as error:
                headers = error.headers if isinstance(error, ApiError) else {}
                version = {"Tus-Resumable": VERSION}
                raise ApiError(kind_of(error), detail_of(error), headers | version) from error

        return handling


UploadId = Annotated[str, Path(description="Id of an upload: the end of its Location")]
TusResumable = Annotated[str | None, Header(alias="Tus-Resumable", description=VERSION)]
ContentType = Annotated[str | None, Header(alias="Content-Type", include_in_schema=False)]
UploadOffset = Annotated[
    str | None,
    Header(alias="Upload-Offset", description="Bytes received by the service, as HEAD reports"),
]
UploadLength = Annotated[str | None, Header(alias="Upload-Length", description="Bytes in all")]
UploadMetadata = Annotated[
    str | None,
    Header(alias="Upload-Metadata", description="`filename` and the name in base64"),
]
UploadChecksum = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        description=f"Algorithm ({CHECKSUMS}) and digest of the body in base64",
    ),
]
UploadConcat = Annotated[str | None, Header(alias="Upload-Concat", include_in_schema=False)]
MethodOverride = Annotated[
    str | None, Header(alias="X-HTTP-Method-Override", description="PATCH or DELETE")
]

OFFSET_HEADER = {"Upload-Offset": {"schema": {"type": "integer"}}}
SLIDE_TOLD = {SLIDE_HEADER: {"description": "With the last byte", "schema": {"type": "string"}}}
BODY = {
    "requestBody": {
        "required": False,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
WRITING = (400, 404, 409, 410, 412, 413, 415, 423, 460, 500, 503, 507)
WRITTEN: dict[int | str, dict[str, Any]] = {
    204: {"description": "The bytes are stored", "headers": OFFSET_HEADER | SLIDE_TOLD}
}
