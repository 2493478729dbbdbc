"""Features of a slide in an HDF5 file, in the layout that CLAM and TRIDENT write.

``features`` ``(n, d)`` and ``coords`` ``(n, 2)``, the level-0 px of each tile's top-left corner.
TRIDENT's first axis of length 1 is taken away.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from wsi_pipeline.errors import TrainingError
from wsi_pipeline.features.bag import EncoderMark, FeatureBag, TileMark, readable, unusable
from wsi_pipeline.features.hdf5 import MPP_OF_ONE
from wsi_pipeline.features.origin import ORIGIN

_AT_ONCE = 2**20


class Hdf5Bag:
    """One file.

    Args:
        path: The file.

    Raises:
        TrainingError: it cannot be read, or is laid out otherwise.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with h5py.File(path) as file:
                *_, tiles, features = file["features"].shape
                coords = file["coords"].shape
                told = {
                    key: _text(file["features"].attrs.get(key, ""))
                    for key in ("encoder", "encoder_sha256")
                }
                cut = _cut(file.attrs, file["coords"].attrs)
        except (OSError, KeyError, ValueError) as error:
            raise unusable(path, error) from error
        if coords[-2:] != (tiles, 2) or not tiles or not features:
            raise unusable(path, f"{tiles:,} tiles, coordinates of {coords}")
        self.features = int(features)
        self.encoder = EncoderMark(told["encoder"], told["encoder_sha256"])
        self.tiles = cut

    def sha256(self) -> str:
        """Of the file."""
        found = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                while part := file.read(_AT_ONCE):
                    found.update(part)
        except OSError as error:
            raise TrainingError(self.path, f"cannot be read: {error.strerror or error}") from error
        return found.hexdigest()

    def read(self) -> FeatureBag:
        """See :meth:`wsi_pipeline.features.bag.BagFile.read`."""
        try:
            with h5py.File(self.path) as file:
                features = np.asarray(file["features"], np.float32)
                coords = np.asarray(file["coords"], np.int64)
        except (OSError, KeyError, ValueError) as error:
            raise unusable(self.path, error) from error
        return readable(self.path, features.reshape(-1, self.features), coords.reshape(-1, 2))


def _cut(own: Mapping[str, Any], coords: Mapping[str, Any]) -> TileMark:
    """What this program's attribute says of the tiles, else what TRIDENT's do.

    The patches of other programs are resized or cropped by the encoder, nobody says to what: of
    them the spacing alone counts. CLAM states none.
    """
    with suppress(KeyError, TypeError, ValueError):
        grid = json.loads(_text(own[ORIGIN]))["grid"]
        return TileMark(int(grid["patch_px"]), float(max(grid["mpp"].values())))
    with suppress(KeyError, TypeError, ValueError):
        power = float(np.asarray(coords["target_magnification"]).item())
        if 0 < power < np.inf:
            return TileMark(mpp=MPP_OF_ONE / power)
    return TileMark()


def _text(value: object) -> str:
    """An attribute, which other programs may have written as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
