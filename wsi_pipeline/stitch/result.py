"""Reading results: the one door for exports, the service and notebooks."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import ZipStore

from wsi_pipeline.errors import ResultError
from wsi_pipeline.geometry import Mpp
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.checksums import attributes_digest
from wsi_pipeline.stitch.writer import metadata_hashes

#: px hashed at a time when verifying.
_BAND_PX = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person has to look at before a result is believed.

    Attributes:
        code: Which, for programs; stays the same.
        message: A sentence for people.
    """

    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)


class Result:
    """One result store, opened for reading.

    Args:
        path: The ``.zarr`` folder, or a ZIP of it as ``wsi export … zip`` writes.

    Raises:
        ResultError: there is no complete result of a format this version reads.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            zipped = self.path.is_file() and self.path.suffix == ".zip"
            store = ZipStore(self.path, mode="r") if zipped else self.path
            self._root = zarr.open_group(store, mode="r", zarr_format=3)
        except Exception as error:  # zarr meets what is no group with many kinds of error
            raise ResultError(self.path, "is not a result (no OME-Zarr group there)") from error
        attributes = self._root.attrs.get(layout.ATTRIBUTES)
        if not isinstance(attributes, dict) or "digest" not in attributes:
            raise ResultError(self.path, "is not a result of wsi_pipeline, or not a complete one")
        if attributes.get("format") != layout.FORMAT_VERSION:
            raise ResultError(
                self.path,
                f"has format {attributes.get('format')!r}, this version reads "
                f"{layout.FORMAT_VERSION}; use the version that made it",
            )
        self._attributes = cast("dict[str, Any]", attributes)

    @property
    def attributes(self) -> dict[str, Any]:
        """The ``wsi_pipeline`` attributes: slide, model, configuration, counts, hashes."""
        return self._attributes

    @property
    def ome(self) -> Any:
        """The OME-Zarr attributes of the image."""
        return self._root.attrs.get("ome")

    @property
    def name(self) -> str:
        """The slide's name."""
        return str(self._attributes["slide"]["name"])

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What was found when the result was made."""
        # Before alarms had codes there was one kind of them, a sentence.
        return tuple(
            Alarm("unreadable-tissue", alarm) if isinstance(alarm, str) else Alarm(**alarm)
            for alarm in self._attributes["alarms"]
        )

    @property
    def mpp_0(self) -> Mpp:
        """µm per level-0 px."""
        mpp = self._attributes["slide"]["mpp"]
        return Mpp(mpp["x"], mpp["y"])

    @property
    def threshold(self) -> float:
        """Probability at and above which a cell is tumour."""
        return float(self._attributes["threshold"])

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability per grid cell, ``(rows, columns)``; NaN = not classified."""
        return cast("NDArray[np.float32]", self.array("0")[...])

    @property
    def coverage(self) -> NDArray[np.uint8]:
        """Coverage per grid cell, ``(rows, columns)``."""
        return cast("NDArray[np.uint8]", self.array(f"{layout.COVERAGE_LABEL}/0")[...])

    @property
    def cell_px_0(self) -> float:
        """Side of a grid cell in level-0 px."""
        return float(self._attributes["grid"]["cell_px_0"])

    def tumour(self, level: int = 0) -> zarr.Array[Any]:
        """The tumour mask at a level of the store; 0 is the slide's analysis level."""
        return self.array(f"{layout.TUMOUR_LABEL}/{level}")

    @property
    def tumour_levels(self) -> int:
        """How many levels the tumour mask has."""
        return sum(path.startswith(layout.TUMOUR_LABEL) for path in self._attributes["arrays"])

    def tile_table(self) -> dict[str, NDArray[Any]]:
        """Columns ``x``, ``y`` (level-0 px), ``tissue``, ``probability``, in plan order."""
        keys = ("x", "y", "tissue", "probability")
        return {key: cast("NDArray[Any]", self.array(f"tiles/{key}")[...]) for key in keys}

    def array(self, path: str) -> zarr.Array[Any]:
        """An array of the store by its path.

        Raises:
            ResultError: it is missing or damaged beyond opening.
        """
        try:
            node = self._root[path]
        except Exception as error:  # zarr meets damage with many kinds of error
            raise ResultError(self.path, f"array {path} is missing or damaged") from error
        if not isinstance(node, zarr.Array):
            raise ResultError(self.path, f"{path} is not an array")
        return node


def verify(path: Path | str, progress: Callable[[str], None] | None = None) -> Result:
    """Decode and hash again everything in a result.

    Args:
        path: The store.
        progress: Called with the path of each array before it is hashed.

    Raises:
        ResultError: something is missing or differs; the message names every damaged part.
    """
    result = Result(path)
    if attributes_digest(result.attributes) != result.attributes["digest"]:
        # They hold every other hash: nothing below them can be told any more.
        raise ResultError(path, "damaged: its attributes were altered")
    damaged: list[str] = []
    stated_metadata: dict[str, str] = result.attributes["metadata"]
    found = metadata_hashes(result.path, result.ome)
    damaged += [
        f"{name} (altered or missing)"
        for name, stated in stated_metadata.items()
        if found.get(name) != stated
    ]
    for name, stated in result.attributes["arrays"].items():
        if progress is not None:
            progress(name)
        try:
            actual = _decoded_sha256(result.array(name))
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


def _decoded_sha256(array: zarr.Array[Any]) -> str:
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
