"""Features of a slide in a result store, as ``wsi features`` writes them."""

from pathlib import Path

import numpy as np

from wsi_pipeline.errors import ResultError, TrainingError
from wsi_pipeline.features.bag import EncoderMark, FeatureBag, TileMark, readable
from wsi_pipeline.stitch.checksums import is_unaltered
from wsi_pipeline.stitch.layout import FEATURE_VALUES
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import decoded_sha256


class ResultBag:
    """One store.

    Args:
        path: The ``.zarr`` folder, or a ZIP of it.

    Raises:
        TrainingError: there is no complete result, or it holds no features.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._result = Result(path)
            self._stored = self._result.features()
            model, grid = self._result.model, self._result.record.grid
        except ResultError as error:
            raise TrainingError(path, error.cause) from error
        self.features = int(self._stored.shape[1])
        self.encoder = EncoderMark(model.name, model.sha256)
        self.tiles = TileMark(grid.patch_px, grid.mpp.side)
        if not self._stored.shape[0]:
            raise TrainingError(path, "holds no tile: no tissue was found; leave the slide out")

    def sha256(self) -> str:
        """Of the decoded features, which are held to what the result states of them."""
        stated = self._result.seal.arrays.get(FEATURE_VALUES)
        try:
            found = decoded_sha256(self._stored)
        except Exception as error:  # codecs meet damage with many kinds of error
            raise self._damaged(error) from error
        if found != stated or not is_unaltered(self._result.attributes):
            raise self._damaged("its contents differ from its checksums")
        return found

    def read(self) -> FeatureBag:
        """See :meth:`wsi_pipeline.features.bag.BagFile.read`."""
        try:
            features = np.asarray(self._stored[...]).astype(np.float32)
            table = self._result.tile_table()
        except Exception as error:  # codecs meet damage with many kinds of error
            raise self._damaged(error) from error
        corners = np.stack([table["x"], table["y"]], axis=1).astype(np.int64)
        return readable(self.path, features, corners)

    def _damaged(self, error: object) -> TrainingError:
        return TrainingError(
            self.path, f"is damaged ({error}); make it again with wsi features --overwrite"
        )
