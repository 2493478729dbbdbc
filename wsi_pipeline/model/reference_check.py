"""Holding a runtime to its package's reference: none is trusted without it.

The whole reference is computed the first time a package meets a runtime, precision, batch size
and processor; what came out is kept. Loaded again, the model must repeat the first of it. Every
part of a model that computes on its own is asked each time: once, of a model loaded on a busy
machine, one of two streams had wrong weights, and half of a slide's features were wrong.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline import durable
from wsi_pipeline.classes import class_columns
from wsi_pipeline.errors import RuntimeRejectedError, UnsteadyRuntimeError
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.package import ModelPackage, thinned
from wsi_pipeline.model.predictor import Head, Predictor, predict_all

log = logging.getLogger(__name__)

#: How far the repetition may be from what was kept: the same machine gives the same values, but
#: another number of threads may round differently.
_REPEATABLE = 1e-4
#: How far the parts of one loaded model may differ, relative to the value: they run the same code.
_ALIKE = 1e-3
#: By how much the cosine between features of a precision and those of fp32 may fall short of 1,
#: of every reference patch. Of fp32 rounding; an int8 network's weights have 8 bits, which moves
#: directions by about a hundred times as much.
FEATURE_TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "bf16": 1e-3, "fp16": 1e-3, "int8": 1e-2}


Held = TypeVar("Held")


def admitted(
    load: Callable[[], Predictor], hold: Callable[[Predictor], Held]
) -> tuple[Predictor, Held]:
    """Load a predictor and hold it to its reference; once more if its parts disagree.

    Args:
        load: Loads it.
        hold: :func:`admit` or :func:`admit_features`.

    Returns:
        The predictor, and what ``hold`` gave.

    Raises:
        RuntimeRejectedError: it does not reproduce the reference, or its parts disagree again.
    """
    try:
        predictor = load()
        return predictor, hold(predictor)
    except UnsteadyRuntimeError as error:
        log.warning("%s; loading it once more", error)
    predictor = load()
    return predictor, hold(predictor)


def admit(
    package: ModelPackage, predictor: Predictor, cache: Path, head: Head = "classes"
) -> NDArray[np.float32]:
    """What a predictor makes of its package's reference patches, if within the tolerance.

    Args:
        package: The model.
        predictor: Loaded from it; closed if it is rejected.
        cache: Folder that keeps what was found before.
        head: ``classes``, or ``both``, of which the classes are looked at.

    Returns:
        Probabilities of all reference patches, as the package's reference has them.

    Raises:
        RuntimeRejectedError: the runtime does not reproduce the reference.
        UnsteadyRuntimeError: its parts give different answers for the same patches.
    """
    _, expected = package.reference()
    answers, classes = _Answers(package, predictor, cache, head), package.classes.shape

    def taken(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values if head == "classes" else class_columns(values, classes)

    values = answers.repeated(expected.shape, taken)
    largest = float(np.abs(values - expected).max()) if values.shape == expected.shape else np.nan
    answers.judge(values, expected, largest, package.description.tolerance)
    return values


def admit_features(
    package: ModelPackage, predictor: Predictor, expected: NDArray[np.float32], cache: Path
) -> float:
    """Hold a predictor's features to those of fp32.

    Each patch's features are two directions: by how much their cosine falls short of 1 is the
    deviation, since what is made of features by others looks at angles or fits a linear layer.

    Args:
        package: The model.
        predictor: Loaded from it for features; closed if it is rejected.
        expected: Of its reference patches, float32 ``(n, features)``.
        cache: Folder that keeps what was found before.

    Returns:
        The largest deviation.

    Raises:
        RuntimeRejectedError: the features of a patch deviate by more than the tolerance: the
            package's of an encoder, else :data:`FEATURE_TOLERANCE`.
        UnsteadyRuntimeError: its parts give different answers for the same patches.
    """
    answers = _Answers(package, predictor, cache, "features")
    values = answers.repeated(expected.shape, lambda given: given)
    largest = 1 - least_cosine(values, expected) if values.shape == expected.shape else np.nan
    encoder = package.description.output == "features"
    tolerance = package.description.tolerance if encoder else FEATURE_TOLERANCE
    answers.judge(values, expected, largest, tolerance)
    return largest


def least_cosine(values: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The least cosine between rows of the same patch, both ``(n, features)``; NaN if undefined."""
    ours, theirs = values.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(((ours * theirs).sum(axis=1) / lengths).min())


class _Answers:
    """A predictor's answers for its package's reference, computed no oftener than needed.

    Args:
        package: The model.
        predictor: Loaded from it.
        cache: Folder that keeps what was found before.
        head: What it answers with.
    """

    def __init__(
        self, package: ModelPackage, predictor: Predictor, cache: Path, head: Head
    ) -> None:
        self._package, self._predictor, self._head = package, predictor, head
        self._record = _record(package, predictor, cache, head)

    def repeated(
        self,
        shape: tuple[int, ...],
        taken: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """What was found before, if the first of it comes out again; else all, computed anew.

        Args:
            shape: That is expected.
            taken: Takes of answers what is looked at.
        """
        again, values = taken(self._agreed()), _kept(self._record, shape)
        if values is not None:
            first = values[: len(again)]
            if again.shape == first.shape and np.allclose(again, first, rtol=0, atol=_REPEATABLE):
                return values
        return taken(answer_reference(self._package, self._predictor))

    def _agreed(self) -> NDArray[np.float32]:
        """The answer of every part of the predictor for the first of the reference."""
        package, predictor = self._package, self._predictor
        first = package.reference()[0][: predictor.batch_size]
        parts = [thinned(part, package.description) for part in predictor.each(first)]
        if all(np.allclose(part, parts[0], rtol=_ALIKE, atol=_REPEATABLE) for part in parts):
            return parts[0]
        predictor.close()
        raise UnsteadyRuntimeError(
            package.name,
            f"{predictor.info.runtime} in {predictor.info.precision} gives different answers for "
            "the same patches. Run again; choose another --runtime or --precision if this stays",
        )

    def judge(
        self,
        values: NDArray[np.float32],
        expected: NDArray[np.float32],
        largest: float,
        tolerance: Mapping[Precision, float],
    ) -> None:
        """Keep the answers if they are near enough.

        Args:
            values: The answers.
            expected: What they should be.
            largest: Their deviation.
            tolerance: Of each precision.

        Raises:
            RuntimeRejectedError: they are not; the predictor is closed.
        """
        name, info = self._package.name, self._predictor.info
        if values.shape != expected.shape:
            self._predictor.close()
            raise RuntimeRejectedError(
                name,
                f"the network answers with {values.shape[1:] or 'one number'} for each patch, the "
                f"reference has {expected.shape[1:] or 'one number'}; build the package again",
            )
        precision = info.precision
        allowed = dict(tolerance).get(precision)  # type: ignore[call-overload]  # a precision is one of the keys or absent
        if allowed is None or not largest <= allowed:
            self._predictor.close()
            remedy = "Choose --precision fp32" if precision != "fp32" else "Build the package again"
            limit = "states no tolerance" if allowed is None else f"allows {allowed:g}"
            what = "features in their cosine " if self._head == "features" else ""
            raise RuntimeRejectedError(
                name,
                f"{info.runtime} in {precision} differs {what}from the reference by "
                f"{largest:.3g}; the package {limit}. {remedy}",
            )
        _keep(self._record, values)


def answer_reference(package: ModelPackage, predictor: Predictor) -> NDArray[np.float32]:
    """What a predictor answers for a package's reference patches, as its reference has it.

    Memory: of maps those of one batch.

    Args:
        package: The model.
        predictor: Loaded from it.
    """
    patches = package.reference()[0]
    step = len(patches) if package.description.map is None else predictor.batch_size
    parts = [
        thinned(predict_all(predictor, patches[i : i + step]), package.description)
        for i in range(0, len(patches), step)
    ]
    return np.concatenate(parts)


def _record(package: ModelPackage, predictor: Predictor, cache: Path, head: Head) -> Path:
    info = predictor.info
    facts: tuple[str | int, ...]
    facts = (package.sha256, info.runtime, info.device, info.precision, predictor.batch_size)
    if head != "classes":
        facts = (*facts, head)
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
