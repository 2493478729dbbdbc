"""JSON files of strangers: read whole, with limits."""

import json
from pathlib import Path
from typing import Any

from wsi_pipeline.errors import AnnotationError

#: A slide's annotations are some MB; what is larger would fill the memory.
MAX_BYTES = 512 * 2**20


def read_json(path: Path) -> Any:
    """The file's value.

    Raises:
        AnnotationError: it cannot be read, is too large, or is no JSON.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise AnnotationError(path, f"has {size:,} bytes, more than any annotation")
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except OSError as error:
        raise AnnotationError(path, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, f"is no valid JSON: {error}") from error


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
