"""Pooled features of a frozen trunk, computed once and kept in the training's folder as they come.

A killed training goes on where it was.
"""

import io
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.errors import StoppedError, TrainingError, UsageError
from wsi_pipeline.model.linear_probe import fit_statistics, pooled
from wsi_pipeline.model.torch_runtime import exact_fp32
from wsi_pipeline.training.checkpoint import CHECKPOINT, State, save, write_whole
from wsi_pipeline.training.initial_weights import first_weights
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.run import Run
from wsi_pipeline.training.sampling import Epoch

#: Batches whose features are kept in one file.
_CHUNK = 4
Features = NDArray[np.float64]


class FrozenTrunk:
    """A classifier whose trunk stays as it is, and the features it gives.

    Args:
        run: What it works with. Features in its folder are not computed again.

    Raises:
        UsageError: several processes, or the folder holds another training.
    """

    def __init__(self, run: Run) -> None:
        if run.team.size > 1:
            raise UsageError("a head is fitted by one process: start it without torchrun")
        self._run = run
        if run.saved() is None:
            save(run.folder, CHECKPOINT, {"state": State(run.fingerprint).to_json()})
        self._folder = run.folder / "features"
        self._folder.mkdir(exist_ok=True)
        self.classifier = run.new_classifier()
        first_weights(self.classifier, run.recipe, run.seed)
        self.classifier.to(run.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's overloads know one argument at a time
        self.classifier.eval()

    def fit_statistics(self, epoch: Epoch) -> None:
        """Fit the batch statistics of a trunk with random weights to patches of an epoch."""
        run = self._run
        places = np.arange(min(run.recipe.probe.statistics_patches, len(epoch)))
        run.observer.stage("fitting batch statistics", len(places))
        (batch,) = run.loader.batches(run.train, epoch, [places])
        pixels = run.pixels(batch, epoch).clamp(0, 255).round().byte()
        patches = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        fit_statistics(self.classifier, patches, batch=2 * run.recipe.batch)
        run.observer.advanced(len(places))

    def features(self, name: str, source: PatchSource, epoch: Epoch) -> Features:
        """Pooled features of an epoch's patches, ``(n, features)``, kept chunk by chunk.

        Raises:
            SlideError: a patch cannot be read; the features so far are kept.
            TrainingError: they cannot be written.
        """
        run, batch = self._run, self._run.recipe.batch
        places = np.arange(len(epoch))
        groups = [places[i : i + batch] for i in range(0, len(places), batch)]
        chunks = [groups[i : i + _CHUNK] for i in range(0, len(groups), _CHUNK)]
        files = [self._folder / f"{name}-{index:05d}.npy" for index in range(len(chunks))]
        missing = [index for index, file in enumerate(files) if not file.exists()]
        done = len(places) - sum(len(g) for index in missing for g in chunks[index])
        run.observer.stage(f"features ({name})", len(places), done=done)
        computed = self._computed(source, epoch, [g for i in missing for g in chunks[i]])
        for index in missing:
            values = np.concatenate([next(computed) for _ in chunks[index]])
            write_whole(files[index], _npy(values))
        try:
            return np.concatenate([np.load(file, allow_pickle=False) for file in files]).astype(
                np.float64
            )
        except (OSError, ValueError) as error:
            raise TrainingError(self._folder, f"{error}; start again with --restart") from error

    def _computed(
        self, source: PatchSource, epoch: Epoch, groups: list[NDArray[np.int64]]
    ) -> Iterator[NDArray[np.float32]]:
        run = self._run
        for part in run.loader.batches(source, epoch, groups):
            if run.stopped():
                raise StoppedError("stopped; the features so far are kept")
            with exact_fp32():  # as the answers that the fitted head will be used on
                values = pooled(self.classifier, run.pixels(part, epoch))
            run.observer.advanced(len(part.places))
            yield values.float().cpu().numpy()


def _npy(values: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values, allow_pickle=False)
    return buffer.getvalue()
