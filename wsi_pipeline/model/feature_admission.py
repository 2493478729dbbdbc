"""Choosing the precision that features are computed in: the fastest that is near enough to fp32.

There is no cascade: all tiles of a slide have features of one precision.
"""

import io
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.errors import RuntimeRejectedError
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Head, Predictor, predict_all
from wsi_pipeline.model.reference_check import admit, admit_features, admitted

log = logging.getLogger(__name__)

Load = Callable[[Precision, Head], Predictor]


def load_for_features(
    package: ModelPackage, precisions: Sequence[Precision], load: Load, cache: Path
) -> Predictor:
    """A predictor that answers with features, held to those of fp32.

    Args:
        package: The model.
        precisions: To try in turn; the last has to do.
        load: Loads the package.
        cache: Folder that keeps what was found before.

    Raises:
        RuntimeRejectedError: the last precision does not reproduce the reference.
    """
    expected = _reference_features(package, load, cache)
    for precision in precisions:
        try:
            predictor, _ = admitted(
                partial(load, precision, "features"),
                lambda loaded: admit_features(package, loaded, expected, cache),
            )
        except RuntimeRejectedError as error:
            if precision == precisions[-1]:
                raise
            log.warning("%s; continuing without it", error)
        else:
            return predictor
    raise ValueError("no precision was given")


def _reference_features(package: ModelPackage, load: Load, cache: Path) -> NDArray[np.float32]:
    """Features of the reference patches in fp32, by a network whose classes are the reference's.

    Kept, for finding them takes a second model in memory.
    """
    if package.description.output == "features":
        return package.reference()[1]
    kept, patches = cache / "features" / f"{package.sha256[:32]}.npy", package.reference()[0]
    # What is damaged is computed again.
    with suppress(OSError, ValueError):
        features: NDArray[np.float32] = np.load(kept, allow_pickle=False)
        if features.ndim == 2 and len(features) == len(patches):
            return features
    predictor, _ = admitted(
        partial(load, "fp32", "both"), lambda loaded: admit(package, loaded, cache, "both")
    )
    features = predict_all(predictor, patches)[:, -predictor.feature_count :]
    predictor.close()
    # A cache that cannot be written costs time at the next start, nothing else.
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, features, allow_pickle=False)
        durable.write_bytes(kept, buffer.getvalue())
    return features
