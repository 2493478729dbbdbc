"""Reading results: the one door for exports, the service and notebooks."""

import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Classes
from wsi_pipeline.errors import ResultError
from wsi_pipeline.geometry import Mpp, PerAxis
from wsi_pipeline.stitch import layout
from wsi_pipeline.stitch.alarm import Alarm
from wsi_pipeline.stitch.checksums import METADATA
from wsi_pipeline.stitch.model_record import ModelRecord
from wsi_pipeline.stitch.record import Record, Seal, read_record, read_seal
from wsi_pipeline.stitch.slide_answer_record import SlideAnswerRecord
from wsi_pipeline.stitch.slide_record import SlideRecord

if TYPE_CHECKING:
    import zarr

_NO_GROUP = "is not a result (no OME-Zarr group there)"


class Result:
    """One result store, opened for reading.

    Args:
        path: The ``.zarr`` folder, or a ZIP of it as ``wsi export … zip`` writes.

    Raises:
        ResultError: there is no complete result of a format this version reads.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._zipped = self.path.is_file() and self.path.suffix == ".zip"
        said = self._said_of_root()
        attributes = said.get(layout.ATTRIBUTES)
        if not isinstance(attributes, dict) or "digest" not in attributes:
            raise ResultError(self.path, "is not a result of wsi_pipeline, or not a complete one")
        if attributes.get("format") != layout.FORMAT_VERSION:
            raise ResultError(
                self.path,
                f"has format {attributes.get('format')!r}, this version reads "
                f"{layout.FORMAT_VERSION}; use the version that made it",
            )
        self._attributes = cast("dict[str, Any]", attributes)
        self._ome = said.get("ome")

    @property
    def attributes(self) -> dict[str, Any]:
        """The ``wsi_pipeline`` attributes as JSON; :attr:`record` has them typed and checked."""
        return self._attributes

    @property
    def ome(self) -> Any:
        """The OME-Zarr attributes of the image."""
        return self._ome

    @cached_property
    def record(self) -> Record:
        """All that the result says of itself.

        Raises:
            ResultError: a field is missing or of another kind; the message names it.
        """
        return read_record(self._attributes, self.path)

    @cached_property
    def seal(self) -> Seal:
        """The hashes that :func:`~wsi_pipeline.stitch.verification.verify` checks."""
        return read_seal(self._attributes, self.path)

    @property
    def name(self) -> str:
        """The slide's name."""
        return self.record.slide.name

    @property
    def slide(self) -> SlideRecord:
        """The slide."""
        return self.record.slide

    @property
    def model(self) -> ModelRecord:
        """The model package."""
        return self.record.model

    @property
    def slide_score(self) -> float | None:
        """The slide's probability by the package's fit, else the largest of a cell; 0-1.

        None where nothing was classified.
        """
        return self.record.slide_score

    @property
    def slide_answer(self) -> SlideAnswerRecord | None:
        """Probability, interval, state and reason of the slide; None in older results."""
        return self.record.slide_answer

    @property
    def tumour_area_mm2(self) -> float:
        """Area whose label is the positive class."""
        return self.record.tumour_area_mm2

    @property
    def tissue_area_mm2(self) -> float:
        """Area that was classified."""
        return self.record.tissue_area_mm2

    @property
    def tumour_percent(self) -> float | None:
        """Share of the classified area called tumour; None where nothing was classified."""
        return self.record.tumour_percent

    @property
    def tiles(self) -> int:
        """Tiles classified."""
        return self.record.tiles

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What was found when the result was made."""
        return self.record.alarms

    @property
    def mpp_0(self) -> Mpp:
        """µm per level-0 px."""
        return self.record.slide.mpp

    @property
    def cell_0(self) -> PerAxis:
        """Width and height of a grid cell in level-0 px."""
        return self.record.grid.cell_0

    @property
    def threshold(self) -> float:
        """Probability at and above which a cell is tumour."""
        return self.record.threshold

    @property
    def classes(self) -> Classes:
        """What the model answers for."""
        return self.record.classes

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability per grid cell; NaN = not classified. Of an encoder the share of tissue.

        ``(rows, columns)`` of a binary model, of its positive class; else ``(planes, rows,
        columns)``, as :attr:`~wsi_pipeline.classes.Classes.planes` names them.
        """
        return cast("NDArray[np.float32]", self.array("0")[...])

    @property
    def coverage(self) -> NDArray[np.uint8]:
        """Coverage per grid cell, ``(rows, columns)``."""
        return cast("NDArray[np.uint8]", self.array(f"{layout.COVERAGE_LABEL}/0")[...])

    @property
    def has_quality(self) -> bool:
        """Whether quality control looked at the slide."""
        return f"{layout.QUALITY_LABEL}/0" in self.seal.arrays

    @property
    def quality(self) -> NDArray[np.uint8] | None:
        """Reasons of each grid cell, ``(rows, columns)``, 255 = not looked at; None without any.

        The bits are those of :class:`~wsi_pipeline.quality.reasons.Reason`.
        """
        if not self.has_quality:
            return None
        return cast("NDArray[np.uint8]", self.array(f"{layout.QUALITY_LABEL}/0")[...])

    @property
    def has_attention(self) -> bool:
        """Whether networks of a slide-level answer looked at its tiles.

        A class of that name hides it.
        """
        named = layout.ATTENTION in self.classes.names
        return f"{layout.ATTENTION}/0" in self.seal.arrays and not named

    @property
    def attention(self) -> NDArray[np.float32] | None:
        """Where they looked: rank of each cell within the slide, 0-1, ``(rows, columns)``.

        NaN = not classified; None where there is none.
        """
        if not self.has_attention:
            return None
        return cast("NDArray[np.float32]", self.array(f"{layout.ATTENTION}/0")[...])

    def mask(self, level: int = 0) -> "zarr.Array[Any]":
        """The label of each px at a level of the store; 0 is the slide's analysis level.

        :attr:`~wsi_pipeline.classes.Classes.labels` names the labels; 255 = not analysed.
        """
        return self.array(f"{self._mask_folder}/{level}")

    def tumour(self, level: int = 0) -> "zarr.Array[Any]":
        """The mask of a tumour model: 0 = not tumour, 1 = tumour, 255 = not analysed.

        Raises:
            ResultError: the model has other classes; :meth:`mask` is for any.
        """
        if layout.mask_name(self.classes) != "tumour":
            raise ResultError(
                self.path, f"has no tumour mask but one of {', '.join(self.classes.names)}"
            )
        return self.mask(level)

    @property
    def mask_levels(self) -> int:
        """How many levels the mask has."""
        return sum(path.startswith(f"{self._mask_folder}/") for path in self.seal.arrays)

    @property
    def grid_levels(self) -> int:
        """How many levels the images of the grid have, as many as the mask where there is one."""
        return sum(path.isdigit() for path in self.seal.arrays)

    @property
    def _mask_folder(self) -> str:
        """Where the mask is: the labels that are neither the coverage nor the quality."""
        folders = (path.rsplit("/", 1)[0] for path in self.seal.arrays)
        found = (
            folder
            for folder in folders
            if folder.startswith(f"{layout.LABELS}/")
            and folder not in (layout.COVERAGE_LABEL, layout.QUALITY_LABEL)
        )
        folder = next(found, None)
        if folder is None:
            raise ResultError(self.path, "has no mask; see `wsi verify`")
        return folder

    def features(self) -> "zarr.Array[Any]":
        """Features of the tiles in plan order, float16 or float32 ``(n, features)``, not yet read.

        NaN = the tile could not be read.

        Raises:
            ResultError: none are kept.
        """
        if self.record.features is None:
            raise ResultError(self.path, "holds no features; `wsi features` makes them")
        return self.array(layout.FEATURE_VALUES)

    def tile_table(self) -> dict[str, NDArray[Any]]:
        """Columns ``x``, ``y`` (level-0 px), ``tissue``, ``probability``, in plan order.

        ``probability`` is ``(n,)`` of a binary model, else ``(n, planes)``; an encoder's result
        has none.
        """
        there = self.seal.arrays
        keys = ("x", "y", "tissue", "probability")
        return {
            key: cast("NDArray[Any]", self.array(f"tiles/{key}")[...])
            for key in keys
            if key != "probability" or "tiles/probability" in there
        }

    def array(self, path: str) -> "zarr.Array[Any]":
        """An array of the store by its path.

        Raises:
            ResultError: it is missing or damaged beyond opening.
        """
        import zarr  # noqa: PLC0415 - takes a while, and what a result says of itself needs none

        try:
            node = self._root[path]
        except Exception as error:  # zarr meets damage with many kinds of error
            raise ResultError(self.path, f"array {path} is missing or damaged") from error
        if not isinstance(node, zarr.Array):
            raise ResultError(self.path, f"{path} is not an array")
        return node

    @cached_property
    def _root(self) -> "zarr.Group":
        """The root group, opened by zarr."""
        import zarr  # noqa: PLC0415 - see array
        from zarr.storage import ZipStore  # noqa: PLC0415

        store = ZipStore(self.path, mode="r") if self._zipped else self.path
        return zarr.open_group(store, mode="r", zarr_format=3)

    def _said_of_root(self) -> dict[str, Any]:
        """The attributes of the root group.

        Raises:
            ResultError: there is none.
        """
        try:
            if self._zipped:
                with zipfile.ZipFile(self.path) as archive:
                    content = archive.read(METADATA)
            else:
                content = (self.path / METADATA).read_bytes()
            said = json.loads(content)
            attributes = said["attributes"] if said["node_type"] == "group" else None
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
            raise ResultError(self.path, _NO_GROUP) from error
        if not isinstance(attributes, dict):
            raise ResultError(self.path, _NO_GROUP)
        return attributes
