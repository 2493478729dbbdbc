"""Holding a runtime to its package's reference: none is trusted without it.

The whole reference is computed the first time a package meets a runtime, precision, batch size
and processor; what came out is kept. Loaded again, the model must repeat the first of it.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.errors import RuntimeRejectedError
from wsi_pipeline.model.package import ModelPackage, thinned
from wsi_pipeline.model.predictor import Predictor, predict_all

#: Patches computed again when a model that was admitted before is loaded; of maps one.
_REPEATED = 2
#: How far the repetition may be from what was kept: the same machine gives the same values, but
#: another number of threads may round differently.
_REPEATABLE = 1e-4


def admit(package: ModelPackage, predictor: Predictor, cache: Path) -> NDArray[np.float32]:
    """What a predictor makes of its package's reference patches, if within the tolerance.

    Args:
        package: The model.
        predictor: Loaded from it; closed if it is rejected.
        cache: Folder that keeps what was found before.

    Returns:
        Probabilities of all reference patches, as the package's reference has them.

    Raises:
        RuntimeRejectedError: the runtime does not reproduce the reference.
    """
    _, expected = package.reference()
    record = _record(package, predictor, cache)
    values = _kept(record, expected.shape)
    if values is not None:
        least = _REPEATED if package.description.map is None else 1
        again = answer_reference(package, predictor, max(least, predictor.batch_size))
        if not np.allclose(again, values[: len(again)], rtol=0, atol=_REPEATABLE):
            values = None
    if values is None:
        values = answer_reference(package, predictor)
    if values.shape != expected.shape:
        predictor.close()
        raise RuntimeRejectedError(
            package.name,
            f"the network answers with {values.shape[1:] or 'one number'} for each patch, the "
            f"reference has {expected.shape[1:] or 'one number'}; build the package again",
        )
    largest = float(np.abs(values - expected).max())
    precision = predictor.info.precision
    allowed = dict(package.description.tolerance).get(precision)  # type: ignore[call-overload]  # a precision is one of the keys or absent
    if allowed is None or not largest <= allowed:
        predictor.close()
        remedy = "Choose --precision fp32" if precision != "fp32" else "Build the package again"
        limit = "states no tolerance" if allowed is None else f"allows {allowed:g}"
        raise RuntimeRejectedError(
            package.name,
            f"{predictor.info.runtime} in {precision} differs from the reference by "
            f"{largest:.3g}; the package {limit}. {remedy}",
        )
    _keep(record, values)
    return values


def answer_reference(
    package: ModelPackage, predictor: Predictor, first: int | None = None
) -> NDArray[np.float32]:
    """What a predictor answers for a package's reference patches, as its reference has it.

    Memory: of maps those of one batch.

    Args:
        package: The model.
        predictor: Loaded from it.
        first: How many patches, from the first; None: all.
    """
    patches = package.reference()[0][:first]
    step = len(patches) if package.description.map is None else predictor.batch_size
    parts = [
        thinned(predict_all(predictor, patches[i : i + step]), package.description)
        for i in range(0, len(patches), step)
    ]
    return np.concatenate(parts)


def _record(package: ModelPackage, predictor: Predictor, cache: Path) -> Path:
    info = predictor.info
    facts = (package.sha256, info.runtime, info.device, info.precision, predictor.batch_size)
    return cache / "admitted" / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.json"


def _kept(record: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """What was found before; None if nothing was, or if it cannot be read."""
    try:
        values = np.asarray(json.loads(record.read_text()), np.float32)
    except (OSError, ValueError, TypeError):
        return None
    return values if values.shape == shape else None


def _keep(record: Path, values: NDArray[np.float32]) -> None:
    before = _kept(record, values.shape)
    if before is not None and np.array_equal(before, values):
        return
    # A cache that cannot be written costs time at the next start, nothing else.
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(record, json.dumps(values.astype(np.float64).tolist()))
