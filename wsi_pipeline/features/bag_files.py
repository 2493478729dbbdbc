"""Finds and opens the features of slides, of whatever kind the files are."""

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from wsi_pipeline.errors import UsageError
from wsi_pipeline.features.bag import BagFile
from wsi_pipeline.features.hdf5_bag import Hdf5Bag
from wsi_pipeline.features.result_bag import ResultBag
from wsi_pipeline.stitch.layout import SUFFIX

_HDF5 = ".h5"


def open_bag(path: Path) -> BagFile:
    """Open a result store, a ZIP of one, or an HDF5 file.

    Raises:
        TrainingError: it holds no features that can be read.
    """
    return ResultBag(path) if path.is_dir() or path.suffix == ".zip" else Hdf5Bag(path)


class FeatureFolder:
    """Files of features by the names of their slides, also in subfolders.

    Of a slide that has a result store and an HDF5 file the store is taken: its checksums tell
    whether it is whole, and the file may be left of an earlier run.

    Args:
        folder: Searched when the first slide is not at its top.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, slide: str) -> Path:
        """Where the features of a slide are; where none are, where they would be as HDF5.

        Raises:
            UsageError: there are two of the name.
        """
        top = [self._folder / f"{slide}{suffix}" for suffix in (SUFFIX, _HDF5)]
        found = next((path for path in top if path.exists()), None)
        if found is not None:
            return found
        for suffix in (SUFFIX, _HDF5):
            below = self._below.get(f"{slide}{suffix}", [])
            if len(below) > 1:
                raise UsageError(
                    f"{below[0]} and {below[1]} are both of a slide {slide}; name the right one in "
                    "the table's column features"
                )
            if below:
                return below[0]
        return top[-1]

    @cached_property
    def _below(self) -> dict[str, list[Path]]:
        """Stores and files in subfolders; none is looked into, nor what is unfinished."""
        found: defaultdict[str, list[Path]] = defaultdict(list)
        for place, folders, files in os.walk(self._folder):
            stores = [name for name in folders if name.endswith(SUFFIX)]
            folders[:] = sorted(
                name for name in folders if name not in stores and not name.startswith(".")
            )
            for name in sorted((*stores, *(one for one in files if one.endswith(_HDF5)))):
                found[name].append(Path(place, name))
        return dict(found)
