"""Questions about single images: which class, and what that rests on.

The answers are those of ``wsi classify``: the same functions compute them.
"""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.illustrator import Illustrator, class_index
from workers.messages import Answered, QueryItem, Unanswered, WorkerSetup
from workers.outbox import Outbox
from wsi_pipeline.errors import ImageError
from wsi_pipeline.images.classification import (
    Answer,
    check_answers_classes,
    classify_read,
    intake_of,
)
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.images.conformal import USUAL_COVERAGE
from wsi_pipeline.images.familiarity import Familiarity
from wsi_pipeline.images.reading import ReadImage, read_bytes
from wsi_pipeline.images.verdict import Judge, explained_class
from wsi_pipeline.model.description import ModelDescription
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.service.image_files import (
    DISPLAY_PX,
    THUMBNAIL_PX,
    display_key,
    thumbnail_key,
)
from wsi_pipeline.service.problem import problem_of
from wsi_pipeline.storage import Storage

#: Threads that read, at most: each holds one whole image.
_MOST_THREADS = 4
_QUALITY = 88


class ImageDesk:
    """Answers questions about images.

    Args:
        equipment: What all work shares.
        storage: The service's.
        outbox: Stores pictures.
        illustrator: Draws explanations.
    """

    def __init__(
        self, equipment: WorkerSetup, storage: Storage, outbox: Outbox, illustrator: Illustrator
    ) -> None:
        # As `wsi classify` does it, so that nobody is told two probabilities.
        self._runtime = RuntimeRequest(equipment.device, "fp32", Path(equipment.cache))
        self._storage, self._outbox = storage, outbox
        self._illustrator = illustrator
        self._small: dict[str, list[Future[None]]] = {}

    def classify(
        self, package: ModelPackage, items: Sequence[QueryItem]
    ) -> Iterator[Answered | Unanswered]:
        """The classes of images, and small pictures of them beside their bytes.

        Raises:
            PackageError: the model cannot be used here, or does not answer with classes.
        """
        about = package.description
        check_answers_classes(about, package.name)
        predictor = self._predictor(package)
        threads = max(1, min(_MOST_THREADS, len(os.sched_getaffinity(0))))
        with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
            reading = pool.map(partial(self._read, about=about), items)
            familiarity = Familiarity(package, predictor)
            outcomes = classify_read(reading, predictor, about, {}, familiarity)
            for item, outcome in zip(items, outcomes, strict=True):
                self._wait_for_small(item)
                if outcome.answer is None:
                    yield _bad(item, outcome.error)
                else:
                    yield _told(item, package, outcome.answer)

    def explain(
        self, package: ModelPackage, items: Sequence[QueryItem]
    ) -> Iterator[Answered | Unanswered]:
        """Pictures of what the class that an image is called rests on.

        Raises:
            PackageError: this model, or this worker, cannot explain.
        """
        about = package.description
        check_answers_classes(about, package.name)
        for item in items:
            read = self._read(item, about, keep=True)
            self._wait_for_small(item)
            if read.error:
                yield _bad(item, read.error)
                continue
            assert read.square is not None
            assert read.placement is not None
            assert read.pixels is not None  # all three are there where there is no error
            index = self._explained(item, package, read)
            drawn, method = self._illustrator.draw(
                package, index, read.pixels, read.square, read.placement
            )
            self._outbox.put(item.picture, drawn)
            answer = {"class": about.classification.names[index], "method": method}
            yield Answered(item.question_id, answer, drawn=True)

    def _predictor(self, package: ModelPackage) -> Predictor:
        threshold = package.description.threshold.value
        folder = package.folder.resolve()
        runtime = replace(self._runtime, head=package.run_head)
        return LOADED.predictor(folder, package.sha256, runtime, threshold)

    def _explained(self, item: QueryItem, package: ModelPackage, read: ReadImage) -> int:
        if item.facts.get("class"):
            return class_index(package, item.facts["class"])
        about = package.description
        predictor = self._predictor(package)
        familiarity = Familiarity(package, predictor)
        (outcome,) = classify_read([read], predictor, about, {}, familiarity)
        assert outcome.answer is not None  # it was read
        verdict = Judge(package, USUAL_COVERAGE)(outcome.answer.probabilities)
        return explained_class(verdict, about.classification.names)

    def _read(self, item: QueryItem, about: ModelDescription, *, keep: bool = False) -> ReadImage:
        name, location = Path(item.facts["name"]), item.facts["location"]
        image = LabelledImage(name)
        try:
            content = self._storage.read(location)
        except FileNotFoundError:
            return ReadImage(image, error=str(ImageError(name, "is no longer in the storage")))
        read = read_bytes(image, content, about.patch_px, intake_of(about), keep=True)
        if read.sha256 != item.facts["sha256"]:
            cause = "its stored bytes are damaged; delete it and upload it again"
            return ReadImage(image, error=str(ImageError(name, cause)))
        if read.pixels is not None:
            self._small[item.question_id] = list(self._keep_small(location, read.pixels))
        return read if keep else replace(read, pixels=None)

    def _wait_for_small(self, item: QueryItem) -> None:
        """An answer comes after the small pictures that it names.

        Raises:
            OSError: they could not be stored.
        """
        for stored in self._small.pop(item.question_id, ()):
            stored.result()

    def _keep_small(self, location: str, pixels: NDArray[np.uint8]) -> "Iterator[Future[None]]":
        """Store what browsers show of the image, once; they decode neither TIFF nor 16 bit."""
        image = None
        for key, side in (
            (display_key(location), DISPLAY_PX),
            (thumbnail_key(location), THUMBNAIL_PX),
        ):
            if self._storage.stat(key) is not None:
                continue
            # The second is made of the first: a large image is shrunk once.
            image = image or Image.fromarray(pixels)
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=_QUALITY)
            yield self._outbox.put_soon(key, buffer.getvalue())


def _bad(item: QueryItem, error: str) -> Unanswered:
    """Of an image that cannot be used: one line with its own name."""
    problem = problem_of(ImageError(item.facts["name"], error)) | {"detail": error}
    return Unanswered(item.question_id, problem, final=True)


def _told(item: QueryItem, package: ModelPackage, found: Answer) -> Answered:
    names = package.description.classification.names
    coverage = float(item.facts.get("coverage") or USUAL_COVERAGE)
    verdict = Judge(package, coverage)(found.probabilities)
    answer = {
        "width": found.width,
        "height": found.height,
        "warnings": list(found.warnings),
        "probabilities": dict(zip(names, found.probabilities, strict=True)),
        "called": list(verdict.called),
        "set": None if verdict.members is None else list(verdict.members),
        "review": verdict.review,
        "reason": verdict.reason,
        "coverage": coverage,
        "distance": found.distance,
        "p_value": found.p_value,
        "unlike_training": found.unlike,
        "thumbnail": thumbnail_key(item.facts["location"]),
    }
    return Answered(
        item.question_id,
        answer,
        doubt=1 - max(found.probabilities),
        review=verdict.review,
        called=", ".join(verdict.called),
    )
