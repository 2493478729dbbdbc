"""What the patches that the head is fitted on look like, as it comes with this program.

The model answers with maps and has no pooled features: colour, focus, texture and the size of
nuclei are kept. The slides of most patches are unknown, so single patches are what slides are
compared with. A slide's mean of many tiles varies less than single patches do: the alarm is
raised too seldom rather than too often.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsi_pipeline.errors import CohortError, PackageError
from wsi_pipeline.lymph_node import LYMPH_NODE
from wsi_pipeline.lymph_node.network import MPP
from wsi_pipeline.lymph_node.patches import RealPatches
from wsi_pipeline.model.package import TRAINING_FEATURES
from wsi_pipeline.shift.measuring import Measured, measure
from wsi_pipeline.shift.sampling import SAMPLE_VALUES, sample_patch
from wsi_pipeline.shift.statistics import write_statistics


def save_familiarity(sources: Sequence[RealPatches], folder: Path) -> None:
    """Measure all patches and write ``training-features.npz``.

    Raises:
        CohortError: hardly a patch has tissue.
        OSError: it cannot be written.
    """
    samples = np.stack([sample_patch(one, MPP) for source in sources for one in source.pixels])
    tumour = np.concatenate([source.tumour for source in sources])
    train = Measured(samples, np.arange(len(samples)), tumour.astype(np.int64))
    none = np.empty(0, np.int64)
    nothing = Measured(np.empty((0, SAMPLE_VALUES), np.float32), none, none)
    statistics = measure("patch", train, nothing)
    if statistics is None:
        raise CohortError(None, "hardly a patch shows tissue; give the folder of real patches")
    folder.mkdir(parents=True, exist_ok=True)
    write_statistics(folder, statistics)


def add_familiarity(fitted: Path, folder: Path) -> None:
    """Put the file into the folder of a package that is being made.

    Args:
        fitted: Holds it.
        folder: Before its files are pinned.

    Raises:
        PackageError: it cannot be read.
    """
    try:
        (folder / TRAINING_FEATURES).write_bytes((fitted / TRAINING_FEATURES).read_bytes())
    except OSError as error:
        raise PackageError(LYMPH_NODE, f"{TRAINING_FEATURES} cannot be read: {error}") from error
