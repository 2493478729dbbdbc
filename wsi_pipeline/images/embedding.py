"""What a network makes of each image before its head: pooled features, kept beside the table."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.images.classification import intake_of
from wsi_pipeline.images.reading import read_ahead
from wsi_pipeline.images.table import EMBEDDINGS, Row
from wsi_pipeline.model.linear_probe import as_pixels, pooled
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_npz
from wsi_pipeline.model.preprocessing import Preparer

log = logging.getLogger(__name__)

_BATCH = 16
#: Images after which what is finished is written, so that a killed run does not lose it.
_KEPT_EVERY = 2048

Features = NDArray[np.float32]


class Embeddings:
    """The features of one run's images, by the SHA-256 of their files.

    ``embeddings.npz`` holds ``model`` ``(1,)``, the package's SHA-256; ``sha256`` ``(n,)`` and
    ``features`` float32 ``(n, features)``.

    Args:
        out: The output folder.
        package: The model; its network is one that torch builds.
        device: ``cpu`` or ``cuda:N``.
    """

    def __init__(self, out: Path, package: ModelPackage, device: str) -> None:
        self._path, self._package, self._device = out / EMBEDDINGS, package, device
        self._found = self._stored()

    @property
    def found(self) -> Mapping[str, Features]:
        """Features ``(features,)`` of each image that has them."""
        return self._found

    def compute(self, rows: Sequence[Row]) -> Iterator[int]:
        """Compute what is missing; yields how many images are through, in steps.

        An image that cannot be read any more, or has changed since, has none.

        Args:
            rows: Of the table.

        Raises:
            PackageError: torch cannot build the network.
            OSError: the file cannot be written.
        """
        wanted = {row.outcome.answer.sha256: row for row in rows if row.outcome.answer is not None}
        missing = {sha256: row for sha256, row in wanted.items() if sha256 not in self._found}
        yield len(rows) - len(missing)
        if missing:
            try:
                yield from self._added(missing)
            finally:
                self._save()

    def _added(self, missing: dict[str, Row]) -> Iterator[int]:
        classifier = load_classifier(self._package).to(self._device)
        about = self._package.description
        prepare = Preparer(about)
        reading = read_ahead(
            [row.outcome.image for row in missing.values()],
            about.patch_px,
            intake_of(about),
            ahead=2 * _BATCH,
        )
        unsaved = 0
        while batch := list(islice(reading, _BATCH)):
            usable = [read for read in batch if read.sha256 in missing]
            squares = [read.square for read in usable if read.square is not None]
            if squares:
                features = pooled(classifier, as_pixels(prepare(np.stack(squares))))
                for read, one in zip(usable, features.float().cpu().numpy(), strict=True):
                    self._found[read.sha256] = one.ravel()
            unsaved += len(batch)
            if unsaved >= _KEPT_EVERY:
                self._save()
                unsaved = 0
            yield len(batch)
        if self._device != "cpu":
            torch.cuda.empty_cache()

    def _stored(self) -> dict[str, Features]:
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                if str(data["model"][0]) != self._package.sha256:
                    return {}
                return dict(zip(data["sha256"].tolist(), data["features"], strict=True))
        except FileNotFoundError:
            return {}
        except Exception as error:  # zip and numpy meet damage with many kinds of error
            log.warning("%s cannot be read (%s); it is computed again", self._path, error)
            return {}

    def _save(self) -> None:
        if not self._found:
            return
        with durable.replacing(self._path) as draft:
            write_npz(
                draft,
                model=np.array([self._package.sha256]),
                sha256=np.array(list(self._found)),
                features=np.stack(list(self._found.values())),
            )
