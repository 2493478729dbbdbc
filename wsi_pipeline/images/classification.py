"""Classifying single images: reading on threads while the model computes, in batches.

An image's answer does not depend on the batch it shared, so neither on the other images, nor on
how often a run was interrupted.
"""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.classes import Classes, class_columns
from wsi_pipeline.errors import PackageError
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.conformal import of_all_classes
from wsi_pipeline.images.familiarity import Familiarity, Unlikeness
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.images.reading import ReadImage, read_ahead
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor

#: Batches that are read before the model asks for them, and images, if batches are small.
_BATCHES_AHEAD, _IMAGES_AHEAD = 3, 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says of the content of one file.

    Attributes:
        sha256: Of the file, hex.
        width: Of the image, in px.
        height: Of the image, in px.
        probabilities: Calibrated, of all classes in their order, 0-1.
        warnings: What a person should know of how the image was read.
        distance: From the training images, in proportion to the limit; None where the package
            keeps nothing of them.
        p_value: Chance that an image like those held out is as far; None likewise.
        unlike: In what it is unlike the training images; empty where it is not.
        spread: How far the answers for its eight orientations are apart, a standard deviation of
            probability; None where there was one.
    """

    sha256: str
    width: int
    height: int
    probabilities: tuple[float, ...]
    warnings: tuple[str, ...] = ()
    distance: float | None = None
    p_value: float | None = None
    unlike: str = ""
    spread: float | None = None

    def to_json(self) -> str:
        """One line, from which :meth:`from_json` makes an equal answer."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> "Answer":
        """The answer of a line.

        Raises:
            ValueError: it is no such line.
        """
        try:
            facts: dict[str, Any] = json.loads(line)
            for name in ("probabilities", "warnings"):
                facts[name] = tuple(facts[name])
            return cls(**facts)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no answer: {line[:80]}") from error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image.

    Attributes:
        image: Which.
        answer: The model's; None where the image is bad.
        error: Why it is bad, with its name; empty otherwise.
    """

    image: LabelledImage
    answer: Answer | None = None
    error: str = ""


def intake_of(description: ModelDescription) -> Intake:
    """How single images become the model's square: padded with white, where it does not say."""
    return Intake(description.images or ImageFit(), description.preprocessing.stain)


def check_answers_classes(description: ModelDescription, name: str) -> None:
    """Refuse a model that answers with something else than a number for each class.

    Raises:
        PackageError: it answers with maps, or for whole slides only.
    """
    if description.output == "features":
        raise PackageError(
            name,
            "answers for whole slides, not for an image; analyse slides with it (wsi run), or "
            "choose a package whose output is classes",
        )
    if description.map is not None:
        raise PackageError(
            name,
            "answers with a map of each tile, not with a class for an image; analyse slides with "
            "it (wsi run), or choose a package whose output is classes",
        )


def check_layers(package: ModelPackage, wanted: str) -> None:
    """Refuse a package whose layers nobody can look into.

    Args:
        package: The model.
        wanted: What needs them: an option, for instance.

    Raises:
        PackageError: it holds its network as a graph, which torch cannot build.
    """
    kind = package.description.architecture.kind
    if kind != "weights":
        raise PackageError(
            package.name,
            f"holds its network as {kind}, whose layers cannot be looked into: {wanted} needs a "
            "package of weights; leave it out, or choose such a package",
        )


def classify(
    images: Sequence[LabelledImage],
    predictor: Predictor,
    description: ModelDescription,
    known: Mapping[str, Answer] | None = None,
    familiarity: Familiarity | None = None,
) -> Iterator[Outcome]:
    """Answers of a model, in the order of the images.

    Memory: some batches of squares, and what :func:`~wsi_pipeline.images.reading.read_ahead` holds.

    Args:
        images: Which.
        predictor: The loaded model.
        description: Of the model.
        known: Answers that an earlier run gave, by the SHA-256 of the file; those are not computed
            again.
        familiarity: Compares each image with the training images; needed where the predictor
            answers with features too.

    Yields:
        What became of each image. One whose model fails ends all: :class:`WsiError` or others, as
        the runtime raises them.
    """
    known = known or {}
    reading = read_ahead(
        images,
        predictor.patch_px,
        intake_of(description),
        ahead=max(_IMAGES_AHEAD, _BATCHES_AHEAD * predictor.batch_size),
        known=known,
    )
    yield from classify_read(reading, predictor, description, known, familiarity)


def classify_read(
    reading: Iterable[ReadImage],
    predictor: Predictor,
    description: ModelDescription,
    known: Mapping[str, Answer],
    familiarity: Familiarity | None = None,
) -> Iterator[Outcome]:
    """As :func:`classify`, of images that somebody else reads."""
    size = predictor.batch_size
    running: deque[_Batch] = deque()
    batch = _Batch()
    for read in reading:
        batch.items.append(read)
        batch.wanted += read.square is not None
        if batch.wanted == size or len(batch.items) == _BATCHES_AHEAD * size:
            running.append(batch.sent(predictor))
            batch = _Batch()
        while running and running[0].done():
            yield from running.popleft().outcomes(description, known, familiarity)
    running.append(batch.sent(predictor))
    while running:
        yield from running.popleft().outcomes(description, known, familiarity)


class _Batch:
    """Images that came one after the other; those that need the model go to it together."""

    def __init__(self) -> None:
        self.items: list[ReadImage] = []
        self.wanted = 0
        self._features = 0
        self._future: Future[NDArray[np.float32]] | None = None

    def sent(self, predictor: Predictor) -> "_Batch":
        squares = [read.square for read in self.items if read.square is not None]
        if squares:
            self._features = predictor.feature_count
            self._future = predictor.submit(np.stack(squares))
        return self

    def done(self) -> bool:
        return self._future is None or self._future.done()

    def outcomes(
        self,
        description: ModelDescription,
        known: Mapping[str, Answer],
        familiarity: Familiarity | None,
    ) -> Iterator[Outcome]:
        rows: Iterator[tuple[list[float], float | None, Unlikeness | None]] = iter(())
        if self._future is not None:
            rows = self._rows(self._future.result(), description.classification, familiarity)
        for read in self.items:
            if read.error:
                yield Outcome(read.image, error=read.error)
            elif read.square is None:
                yield Outcome(read.image, known[read.sha256])
            else:
                values, spread, one = next(rows)
                facts = read.sha256, read.width, read.height, tuple(values), read.warnings
                answer = Answer(*facts, spread=spread)
                if one is not None:
                    answer = replace(
                        answer, distance=one.distance, p_value=one.p_value, unlike=one.words
                    )
                yield Outcome(read.image, answer)

    def _rows(
        self, found: NDArray[np.float32], classes: Classes, familiarity: Familiarity | None
    ) -> Iterator[tuple[list[float], float | None, Unlikeness | None]]:
        """Probabilities of each image, their spread over orientations, and how unlike it is."""
        unlike: list[Unlikeness | None] = [None] * len(found)
        if familiarity is not None:
            squares = [read.square for read in self.items if read.square is not None]
            unlike = familiarity.compare(squares, found)
        spread: list[float | None] = [None] * len(found)
        if found.shape[1:] != classes.shape:
            # Classes, then features, then the spread; the latter two where they were asked for.
            if found.shape[1] > len(classes.planes) + self._features:
                spread = found[:, -1].tolist()
            found = class_columns(found, classes.shape)
        return zip(of_all_classes(classes, found).tolist(), spread, unlike, strict=True)
