"""Everything in a result decoded, hashed again and compared with what it states of itself."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_pipeline.errors import ResultError
from wsi_pipeline.stitch.checksums import is_unaltered, metadata_hashes
from wsi_pipeline.stitch.result import Result

if TYPE_CHECKING:
    import zarr

#: px hashed at a time.
_BAND_PX = 64 * 2**20


def verify(path: Path | str, progress: Callable[[str], None] | None = None) -> Result:
    """Decode and hash again everything in a result.

    Args:
        path: The store.
        progress: Called with the path of each array before it is hashed.

    Raises:
        ResultError: something is missing or differs; the message names every damaged part.
    """
    result = Result(path)
    if not is_unaltered(result.attributes):
        # They hold every other hash: nothing below them can be told any more.
        raise ResultError(path, "damaged: its attributes were altered")
    damaged: list[str] = []
    found = metadata_hashes(result.path, result.ome)
    damaged += [
        f"{name} (altered or missing)"
        for name, stated in result.seal.metadata.items()
        if found.get(name) != stated
    ]
    for name, stated in result.seal.arrays.items():
        if progress is not None:
            progress(name)
        try:
            actual = decoded_sha256(result.array(name))
        except ResultError as error:
            damaged.append(f"{name} ({error.cause.rsplit(' is ', 1)[-1]})")
        except Exception as error:  # codecs meet damage with many kinds of error
            damaged.append(f"{name} ({type(error).__name__}: {error})")
        else:
            if actual != stated:
                damaged.append(f"{name} (contents differ)")
    if damaged:
        raise ResultError(path, f"damaged: {'; '.join(damaged)}")
    return result


def decoded_sha256(array: "zarr.Array[Any]") -> str:
    """SHA-256 (hex) of an array's decoded values in row order.

    A :class:`~wsi_pipeline.stitch.record.Seal` states it.

    Memory: :data:`_BAND_PX` values, or one row of chunks.
    """
    digest = hashlib.sha256()
    if array.size == 0:
        return digest.hexdigest()
    rows = array.shape[0]
    step = rows
    if array.ndim > 1:
        chunk = array.chunks[0]
        step = max(chunk, _BAND_PX // array.shape[1] // chunk * chunk)
    for start in range(0, rows, step):
        digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()
