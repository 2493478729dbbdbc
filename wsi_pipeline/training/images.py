"""Single images to train from: looked at, grouped, and read as the patches of a source."""

import hashlib
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.errors import CohortError, ImageError, TrainingError, UsageError
from wsi_pipeline.images.collection import Collection, LabelledImage
from wsi_pipeline.images.likeness import Likeness, alike, joined, likeness_of
from wsi_pipeline.images.picture import decode_picture, read_content, read_picture
from wsi_pipeline.images.placement import Intake
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.training.run import Observer

#: Names by which the class that is not looked for can be told.
_NORMAL = frozenset({"normal", "norm", "healthy", "benign", "negative", "neg", "nontumor", "0"})
#: Bytes of placed images that a source keeps, so that a later epoch reads no file.
_KEPT_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Example:
    """One image to train from.

    Attributes:
        path: The file.
        label: Number of its class.
        group: What may not be split, by number: its patient or itself, joined with those that
            hold the same picture.
        source: Laboratory or origin.
        content: SHA-256 (hex) of its px.
        sha256: Of its file (hex).
        sides: Width and height in px.
    """

    path: Path
    label: int
    group: int
    source: str | None
    content: str
    sha256: str
    sides: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Examples:
    """The images of a collection that are trained from.

    Attributes:
        origin: Of the collection.
        classes: By their numbers; of two, the positive one is the last.
        positive: The class of interest.
        images: In the order of their paths.
        grouped: Whether groups were given, or every image was taken for one of its own.
        alike: Images that hold the same picture as another one.
        doubtful: Pairs of the same picture with different labels, one line each.
        left_out: Images that cannot be used and why, one line each.
    """

    origin: Path
    classes: tuple[str, ...]
    positive: str
    images: tuple[Example, ...]
    grouped: bool
    alike: int
    doubtful: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def side(self) -> int | None:
        """Side in px where all images are squares of one size; else None."""
        sides = {side for image in self.images for side in image.sides}
        return sides.pop() if len(sides) == 1 else None


class ImageSource:
    """A :class:`~wsi_pipeline.training.patch_source.PatchSource` over images; none is moved.

    Memory: a GiB of placed images at most.

    Args:
        images: In the order that numbers them.
        classes: How many there are.
        patch_px: Side of a patch.
        fit: How images of other sizes become one.
    """

    def __init__(
        self, images: Sequence[Example], classes: int, patch_px: int, intake: Intake
    ) -> None:
        self.images = tuple(images)
        self.patch_px, self.classes, self._intake = patch_px, classes, intake
        groups, unit = np.unique([image.group for image in images], return_inverse=True)
        self.units = tuple(f"group {group}" for group in groups)
        self._unit = unit.astype(np.int32)
        self._label = np.array([image.label for image in images], np.int64)
        contents = "\n".join(image.content for image in images)
        named = f"{patch_px}\n{intake.fit.model_dump_json()}\n{contents}"
        if intake.stain is not None:
            named += f"\n{intake.stain}"
        self.identity = hashlib.sha256(named.encode()).hexdigest()
        self._lock = threading.Lock()
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._most = _KEPT_BYTES // (3 * patch_px**2)

    @property
    def stain(self) -> StainTarget | None:
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`."""
        return self._intake.stain

    @property
    def unit(self) -> NDArray[np.int32]:
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`."""
        return self._unit

    @property
    def label(self) -> NDArray[np.int64]:
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`."""
        return self._label

    @property
    def steady(self) -> NDArray[np.bool_]:
        """Nowhere: around an image there is nothing to move it to."""
        return np.zeros(len(self._label), bool)

    def read(self, index: int, dx: int = 0, dy: int = 0) -> NDArray[np.uint8]:  # noqa: ARG002 - images are not moved
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`.

        Raises:
            ImageError: it cannot be read any more.
        """
        known = self._kept.get(index)
        if known is not None:
            return known
        pixels = read_picture(self.images[index].path).pixels
        square = self._intake(pixels, self.patch_px).pixels
        with self._lock:
            if len(self._kept) < self._most:
                self._kept[index] = square
        return square


@dataclass(frozen=True, slots=True)
class _Look:
    """What is found of an image when it is looked at: see :class:`Example`."""

    image: LabelledImage
    likeness: Likeness
    sha256: str
    sides: tuple[int, int]


def find_examples(
    collection: Collection,
    observer: Observer,
    *,
    positive: str | None = None,
    group_from: str | None = None,
    skip_bad: bool = False,
    readers: int = 4,
) -> Examples:
    """Look at every image of a collection, and find those that hold the same picture.

    Args:
        collection: With a label for each image.
        observer: Is told.
        positive: The class of interest; None: of two classes the one that is not called
            ``normal``, ``healthy``, ``benign`` or the like, of several the first such.
        group_from: A regular expression found in file names; its first group, or all of it, says
            whose an image is, unless the collection does.
        skip_bad: Leave out images that cannot be used, and say so.
        readers: Images that are read at once.

    Raises:
        UsageError: there are not two classes, or the positive one or a group cannot be told.
        TrainingError: an image cannot be used.
        CohortError: two images of different labels have the same px.
    """
    classes, positive = _classes(collection, positive)
    pattern = _pattern(group_from)
    observer.stage("checking images", len(collection.images))

    def look(image: LabelledImage) -> _Look | str:
        if image.label is None:
            return f"{image.path}: has no label"
        try:
            content = read_content(image.path)
            picture = decode_picture(content, image.path)
        except ImageError as error:
            return str(error)
        sha256 = hashlib.sha256(content).hexdigest()
        return _Look(image, likeness_of(picture.pixels), sha256, (picture.width, picture.height))

    seen: list[_Look] = []
    bad = list(collection.problems)
    with ThreadPoolExecutor(readers) as pool:
        for answer in pool.map(look, collection.images):
            observer.advanced(1)
            if isinstance(answer, str):
                bad.append(answer)
            else:
                seen.append(answer)
    for line in bad if skip_bad or len(bad) > 1 else ():
        observer.says(f"{'left out' if skip_bad else 'cannot be used'}: {line}")
    if bad and not skip_bad:
        more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
        raise TrainingError(
            collection.origin,
            f"{bad[0]}{more}; correct it, or leave such files out with --skip-bad",
        )
    observer.stage("comparing images")
    pairs = alike([one.likeness for one in seen])
    doubtful = _contradictions(collection, seen, pairs)
    for line in doubtful:
        observer.says(f"doubtful: {line}")
    groups = [_group(one.image, pattern, one.likeness.content) for one in seen]
    numbers = joined(groups, pairs)
    label_of = {name: number for number, name in enumerate(classes)}
    images = tuple(
        Example(
            one.image.path,
            label_of[one.image.label or ""],
            int(number),
            one.image.source,
            one.likeness.content,
            one.sha256,
            one.sides,
        )
        for one, number in zip(seen, numbers, strict=True)
    )
    return Examples(
        origin=collection.origin,
        classes=classes,
        positive=positive,
        images=images,
        grouped=pattern is not None or collection.grouped,
        alike=len(set(pairs.ravel().tolist())),
        doubtful=doubtful,
        left_out=tuple(bad),
    )


def _classes(collection: Collection, positive: str | None) -> tuple[tuple[str, ...], str]:
    names = collection.classes
    if len(names) < 2:
        has = f"one class only ({names[0]})" if names else "no labels"
        raise UsageError(
            f"{collection.origin} has {has}; two classes or more are needed: a folder for each, or "
            "a table with the columns path and label"
        )
    others = [name for name in names if name.lower().replace("-", "") not in _NORMAL]
    if positive is None and len(names) == 2 and len(others) != 1:
        raise UsageError(
            f"which class is to be found? Write --positive {names[0]} or --positive {names[1]}"
        )
    chosen = positive or (others or names)[0]
    if chosen not in names:
        raise UsageError(f"--positive {chosen}: the classes are {', '.join(names)}")
    if len(names) == 2:
        return (next(name for name in names if name != chosen), chosen), chosen
    return names, chosen


def _pattern(group_from: str | None) -> re.Pattern[str] | None:
    try:
        return None if group_from is None else re.compile(group_from)
    except re.error as error:
        raise UsageError(f"--group-from {group_from!r}: {error}") from error


def _group(image: LabelledImage, pattern: re.Pattern[str] | None, content: str) -> str:
    if image.group is not None:
        return f"group {image.group}"
    if pattern is None:
        return f"image {content}"
    found = pattern.search(image.path.name)
    name = found and found.group(1 if pattern.groups else 0)
    if not name:
        raise UsageError(f"--group-from {pattern.pattern!r} finds nothing in {image.path.name}")
    return f"group {name}"


def _contradictions(
    collection: Collection,
    seen: Sequence[_Look],
    pairs: NDArray[np.int64],
) -> tuple[str, ...]:
    """The same picture with different labels; the very same px are an error."""
    lines = []
    for first, second in pairs.tolist():
        one, other = seen[first].image, seen[second].image
        if one.label == other.label:
            continue
        told = f"{one.path} ({one.label}) and {other.path} ({other.label})"
        if seen[first].likeness.content == seen[second].likeness.content:
            raise CohortError(
                collection.origin, f"{told} are the same image under two labels; remove one"
            )
        lines.append(f"{told} are the same picture, and have different labels")
    return tuple(lines)
