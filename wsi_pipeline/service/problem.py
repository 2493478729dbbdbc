"""Reasons of failure as they are kept with slides and jobs: problem details (RFC 9457)."""

from typing import Any

from wsi_pipeline.errors import (
    DamagedSlideError,
    ImageError,
    PackageError,
    SlideContentError,
    SlideMetadataError,
    UnsupportedSlideError,
    UsageError,
    WsiError,
)

#: Class of error, HTTP status, last part of the type, title; the first that fits decides.
KINDS: tuple[tuple[type[WsiError], int, str, str], ...] = (
    (UnsupportedSlideError, 422, "unsupported-slide", "This file is not a readable slide"),
    (DamagedSlideError, 422, "damaged-slide", "The slide is damaged"),
    (SlideMetadataError, 422, "slide-metadata", "The slide's metadata do not allow this"),
    (SlideContentError, 422, "slide-content", "The slide's content cannot be analysed"),
    (ImageError, 422, "image", "This image cannot be used"),
    (PackageError, 422, "model-package", "The model package cannot be used"),
    (UsageError, 422, "invalid", "The request is well formed but wrong"),
)


def problem_of(error: WsiError) -> dict[str, Any]:
    """An error as it is kept: its cause, without the path of the file at fault."""
    fitting = (kind for kind in KINDS if isinstance(error, kind[0]))
    _, status, slug, title = next(fitting, (WsiError, 500, "internal", "An unexpected failure"))
    return {
        "type": f"/problems/{slug}",
        "title": title,
        "status": status,
        "detail": str(getattr(error, "cause", error)),
    }
