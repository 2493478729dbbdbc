"""``/v1/uploads``: resumable uploads by the tus protocol, version 1.0.0.

Creation (also with the first bytes), checksums, expiration and termination. Offsets that are told
are on disk. A key is asked for before a byte is read. There is no CORS header: pages of the
service itself read everything, pages of others nothing.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.access import Submitter, Viewer
from api.dependencies import Services
from api.problems import (
    BAD_REQUEST,
    METHOD_NOT_ALLOWED,
    WRONG_MEDIA_TYPE,
    ApiError,
    responses,
)
from api.uploads.append import Append
from api.uploads.beginning import begin_upload, give_up
from api.uploads.checker import Checker
from api.uploads.receiver import CLIENT_LEFT, LeftError, Receiver
from api.uploads.tus import (
    CHECKSUMS,
    EXTENSIONS,
    MEDIA_TYPE,
    VERSION,
    Checksum,
    name_in,
    number,
    parse_metadata,
    require_version,
    upload_headers,
)
from api.uploads.tus_route import (
    BODY,
    OFFSET_HEADER,
    SLIDE_TOLD,
    WRITING,
    WRITTEN,
    ContentType,
    MethodOverride,
    TusResumable,
    TusRoute,
    UploadChecksum,
    UploadConcat,
    UploadId,
    UploadLength,
    UploadMetadata,
    UploadOffset,
)
from wsi_pipeline.errors import WsiError
from wsi_pipeline.service.jobs.requests import ConflictError
from wsi_pipeline.service.quota import TooLargeError
from wsi_pipeline.service.upload import Upload, UploadState

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], route_class=TusRoute)

_Services = Annotated[Services, Depends(Services.of)]


@router.options("", status_code=204, response_class=Response)
def tell_capabilities(_: Viewer, services: _Services) -> Response:
    """What of tus is spoken here, and how large an upload may be."""
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(services.uploads.max_bytes),
            "Tus-Checksum-Algorithm": CHECKSUMS,
        },
    )


@router.post(
    "",
    status_code=201,
    response_class=Response,
    responses={
        201: {
            "description": "Send the bytes to the address in `Location`",
            "headers": {"Location": {"schema": {"type": "string"}}} | OFFSET_HEADER | SLIDE_TOLD,
        },
        **responses(400, 412, 413, 415, 422, 460, 500, 503, 507),
    },
    openapi_extra=BODY,
)
async def create_upload(
    request: Request,
    access: Submitter,
    services: _Services,
    tus_resumable: TusResumable = None,
    upload_length: UploadLength = None,
    upload_metadata: UploadMetadata = None,
    upload_checksum: UploadChecksum = None,
    upload_concat: UploadConcat = None,
    content_type: ContentType = None,
) -> Response:
    """Begin an upload; the body may hold its first bytes."""
    require_version(tus_resumable)
    if upload_concat is not None:
        raise ApiError(BAD_REQUEST, "Upload-Concat is not supported; send the file as one upload")
    has_body = _has_body(request)
    if has_body:
        _require_type(content_type)
    length = number(upload_length, "Upload-Length")
    metadata = parse_metadata(upload_metadata or "")
    checksum = Checksum.parse(upload_checksum) if upload_checksum is not None else None
    receiver = Receiver.of(request)

    name = name_in(metadata)
    upload = await receiver.work(
        lambda: begin_upload(services, access, name, length, upload_metadata or "")
    )
    Checker.of(request).wake()
    if has_body or length == 0:
        append = Append(services, access, upload, checksum=checksum)
        try:
            _require_fit(request, upload)
            await receiver.receive(request, append)
            upload = append.upload
        except (WsiError, LeftError) as error:
            # The client was never told the address.
            await receiver.work(lambda: give_up(services, access, append.upload))
            if isinstance(error, LeftError):
                return Response(status_code=CLIENT_LEFT)
            raise
    _wake_checker(request, upload)
    location = f"{request.scope.get('root_path', '')}/v1/uploads/{upload.id}"
    headers = upload_headers(upload) | {"Location": location}
    return Response(status_code=201, headers=headers)


@router.head(
    "/{upload_id}",
    status_code=200,
    response_class=Response,
    responses={
        200: {
            "description": "Number of stored bytes",
            "headers": OFFSET_HEADER
            | {"Upload-Length": {"schema": {"type": "integer"}}}
            | SLIDE_TOLD,
        },
        **responses(404, 410, 412),
    },
)
async def tell_offset(
    request: Request,
    access: Submitter,
    services: _Services,
    upload_id: UploadId,
    tus_resumable: TusResumable = None,
) -> Response:
    """Where to continue."""
    require_version(tus_resumable)
    receiver = Receiver.of(request)
    # Whose it is comes first: nobody else may send its writer away.
    await receiver.work(lambda: services.uploads.get(access, upload_id))
    await receiver.make_way(upload_id)
    upload = await receiver.work(lambda: services.uploads.get(access, upload_id))
    headers = upload_headers(upload) | {
        "Upload-Length": str(upload.length),
        "Cache-Control": "no-store",
    }
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return Response(headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={**WRITTEN, **responses(*WRITING)},
    openapi_extra=BODY,
)
async def append_to_upload(
    request: Request,
    access: Submitter,
    services: _Services,
    upload_id: UploadId,
    tus_resumable: TusResumable = None,
    upload_offset: UploadOffset = None,
    upload_checksum: UploadChecksum = None,
    content_type: ContentType = None,
) -> Response:
    """Send bytes from an offset on; with the last one the upload becomes a slide."""
    require_version(tus_resumable)
    _require_type(content_type)
    offset = number(upload_offset, "Upload-Offset")
    checksum = Checksum.parse(upload_checksum) if upload_checksum is not None else None
    receiver = Receiver.of(request)
    await receiver.make_way(upload_id)
    upload = await receiver.work(lambda: services.uploads.get(access, upload_id))
    if upload.state is UploadState.COMPLETE:
        return _after_the_end(request, upload, offset)
    append = Append(services, access, upload, checksum=checksum)
    try:
        if offset == upload.offset:
            _require_fit(request, upload)
        await receiver.receive(request, append, offset)
    except LeftError:
        return Response(status_code=CLIENT_LEFT)
    _wake_checker(request, append.upload)
    return Response(status_code=204, headers=upload_headers(append.upload))


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409, 410, 412),
)
async def terminate_upload(
    request: Request,
    access: Submitter,
    services: _Services,
    upload_id: UploadId,
    tus_resumable: TusResumable = None,
) -> Response:
    """Give an upload up; its bytes are removed."""
    require_version(tus_resumable)

    def terminate() -> None:
        services.uploads.terminate(access, upload_id)
        services.upload_files.remove(upload_id)

    await Receiver.of(request).work(terminate)
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


@router.post(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses={**WRITTEN, **responses(405, *WRITING)},
    openapi_extra=BODY,
)
async def override_method(
    request: Request,
    access: Submitter,
    services: _Services,
    upload_id: UploadId,
    tus_resumable: TusResumable = None,
    upload_offset: UploadOffset = None,
    upload_checksum: UploadChecksum = None,
    content_type: ContentType = None,
    method: MethodOverride = None,
) -> Response:
    """PATCH or DELETE for clients behind something that lets only POST pass."""
    if method == "PATCH":
        return await append_to_upload(
            request,
            access,
            services,
            upload_id,
            tus_resumable,
            upload_offset,
            upload_checksum,
            content_type,
        )
    if method == "DELETE":
        return await terminate_upload(request, access, services, upload_id, tus_resumable)
    raise ApiError(
        METHOD_NOT_ALLOWED,
        "POST stands for PATCH or DELETE here; say which in X-HTTP-Method-Override",
        {"Allow": "HEAD, PATCH, DELETE"},
    )


def _after_the_end(request: Request, upload: Upload, offset: int) -> Response:
    """Answer bytes for an upload that has all of them: a repeated request makes no second slide."""
    if offset != upload.offset:
        raise ConflictError(f"the upload is complete at byte {upload.offset}")
    _require_fit(request, upload)
    return Response(status_code=204, headers=upload_headers(upload))


def _wake_checker(request: Request, upload: Upload) -> None:
    if upload.slide_id is not None:
        Checker.of(request).wake()


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return "transfer-encoding" in request.headers or length.strip() != "0"


def _require_type(content_type: str | None) -> None:
    if (content_type or "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise ApiError(WRONG_MEDIA_TYPE, f"bytes are sent as Content-Type: {MEDIA_TYPE}")


def _require_fit(request: Request, upload: Upload) -> None:
    """Refuse, before any byte is read, a body that says it is longer than what is missing."""
    length = request.headers.get("content-length", "0")
    if number(length, "Content-Length") > upload.length - upload.offset:
        raise TooLargeError(f"the upload has {upload.length:,} bytes, not more")
