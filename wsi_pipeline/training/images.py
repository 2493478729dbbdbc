"""Images in a folder per class, as a source of patches: for collections that have no slides."""

import hashlib
import io
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline.errors import CohortError, TrainingError, UsageError
from wsi_pipeline.training.run import Observer

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
#: Names by which the class that is not looked for can be told.
_NORMAL = frozenset({"normal", "norm", "healthy", "benign", "negative", "neg", "nontumor", "0"})
#: Shares of training, validation and test.
_SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of a folder.

    Attributes:
        path: The file.
        tumour: Whether it is of the positive class.
        group: What may not be split: a patient, where names tell them, else its content.
        sha256: Of the file.
        side: Of the image in px.
    """

    path: Path
    tumour: bool
    group: str
    sha256: str
    side: int


@dataclass(frozen=True, slots=True)
class Folder:
    """Images of two classes.

    Attributes:
        path: The folder.
        classes: Normal, positive.
        pictures: In order of their paths.
        side: Of every image in px.
        duplicates: How many images are copies of another; copies stay in one split.
        left_out: Files that cannot be read, and why.
    """

    path: Path
    classes: tuple[str, str]
    pictures: tuple[Picture, ...]
    side: int
    duplicates: int
    left_out: tuple[str, ...]


class FolderSource:
    """A :class:`~wsi_pipeline.training.patch_source.PatchSource` over images; none is moved.

    Args:
        pictures: In the order that numbers them.
        patch_px: Side of a patch; images of another size are resampled to it.
    """

    def __init__(self, pictures: Sequence[Picture], patch_px: int) -> None:
        self._paths = tuple(picture.path for picture in pictures)
        self.patch_px = patch_px
        groups = sorted({picture.group for picture in pictures})
        numbers = {group: number for number, group in enumerate(groups)}
        self.units = tuple(groups)
        self._unit = np.array([numbers[picture.group] for picture in pictures], np.int32)
        self._tumour = np.array([picture.tumour for picture in pictures], bool)
        names = "\n".join(picture.sha256 for picture in pictures)
        self.identity = hashlib.sha256(f"{patch_px}\n{names}".encode()).hexdigest()

    @property
    def unit(self) -> NDArray[np.int32]:
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`."""
        return self._unit

    @property
    def tumour(self) -> NDArray[np.bool_]:
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`."""
        return self._tumour

    @property
    def steady(self) -> NDArray[np.bool_]:
        """Nowhere: around an image there is nothing to move it to."""
        return np.zeros(len(self._tumour), bool)

    def read(self, index: int, dx: int = 0, dy: int = 0) -> NDArray[np.uint8]:  # noqa: ARG002 - images are not moved
        """See :class:`~wsi_pipeline.training.patch_source.PatchSource`."""
        with Image.open(self._paths[index]) as image:
            rgb = image.convert("RGB")
            if rgb.size != (self.patch_px, self.patch_px):
                rgb = rgb.resize((self.patch_px, self.patch_px), Image.Resampling.BILINEAR)
            return np.asarray(rgb)


def find_images(
    folder: Path,
    observer: Observer,
    *,
    positive: str | None = None,
    group_from: str | None = None,
    skip_bad: bool = False,
) -> Folder:
    """Look at every image of a folder that has one folder per class.

    Args:
        folder: Holds two folders, named like the classes.
        observer: Is told.
        positive: The class looked for; None: the one that is not called ``normal``,
            ``healthy``, ``benign`` or the like.
        group_from: A regular expression found in file names; its first group, or all of it, says
            whose an image is. None: nothing is known of patients.
        skip_bad: Leave out files that cannot be read, and say so.

    Raises:
        UsageError: there are not two classes, or the positive one or a group cannot be told.
        TrainingError: a file cannot be read.
        CohortError: images differ in size, or a class has none.
    """
    classes = _classes(folder, positive)
    pattern = _pattern(group_from)
    files = [
        (path, index == 1)
        for index, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    for index, name in enumerate(classes):
        if not any(tumour == bool(index) for _, tumour in files):
            raise CohortError(folder, f"the class {name} is empty")
    observer.stage("checking images", len(files))

    def look(file: tuple[Path, bool]) -> Picture | str:
        path, tumour = file
        try:
            content = path.read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                width, height = image.size
        except Exception as error:  # Pillow meets damage with many kinds of error
            return f"{path}: cannot be read: {error}"
        if width != height:
            return f"{path}: is {width} × {height} px; images must be square"
        digest = hashlib.sha256(content).hexdigest()
        return Picture(path, tumour, _group(path, pattern, digest), digest, width)

    pictures: list[Picture] = []
    bad: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(look, files):
            observer.advanced(1)
            if isinstance(answer, str):
                bad.append(answer)
            else:
                pictures.append(answer)
    if bad and not skip_bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise TrainingError(
            folder, f"{bad[0]}{more}; correct it, or leave such files out with --skip-bad"
        )
    for text in bad:
        observer.says(f"left out: {text}")
    sides = sorted({picture.side for picture in pictures})
    if len(sides) != 1:
        raise CohortError(folder, f"images are of different sizes: {sides[:5]} px; make them equal")
    joined = _joined(pictures)
    unique = len({picture.sha256 for picture in joined})
    _check_labels(folder, joined)
    return Folder(folder, classes, tuple(joined), sides[0], len(joined) - unique, tuple(bad))


def split_images(
    pictures: Sequence[Picture], seed: int
) -> tuple[list[Picture], list[Picture], list[Picture]]:
    """Images for training, validation and test: 60, 20 and 20 %, groups whole, classes alike."""
    rng = np.random.default_rng(seed)
    by_group: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_group.setdefault(picture.group, []).append(picture)
    parts: tuple[list[Picture], list[Picture], list[Picture]] = ([], [], [])
    for tumour in (False, True):
        groups = sorted(
            group for group, members in by_group.items() if any(m.tumour for m in members) == tumour
        )
        total = sum(len(by_group[group]) for group in groups)
        done = 0
        for index in rng.permutation(len(groups)):
            members = by_group[groups[index]]
            middle = (done + len(members) / 2) / total
            part = 0 if middle <= _SHARES[0] else 1 if middle <= 1 - _SHARES[2] else 2
            parts[part].extend(members)
            done += len(members)
    for several in parts:
        several.sort(key=lambda picture: picture.path)
    return parts


def _classes(folder: Path, positive: str | None) -> tuple[str, str]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; --images wants one with a folder per class")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(names) != 2:
        raise UsageError(
            f"{folder} holds {len(names)} folders ({', '.join(names[:6])}); two are wanted, one "
            "per class"
        )
    if positive is None:
        normal = [name for name in names if name.lower().replace("-", "") in _NORMAL]
        if len(normal) != 1:
            raise UsageError(
                f"which class is to be found? Write --positive {names[0]} or --positive {names[1]}"
            )
        positive = next(name for name in names if name != normal[0])
    if positive not in names:
        raise UsageError(f"--positive {positive}: the classes are {' and '.join(names)}")
    return next(name for name in names if name != positive), positive


def _pattern(group_from: str | None) -> re.Pattern[str] | None:
    try:
        return None if group_from is None else re.compile(group_from)
    except re.error as error:
        raise UsageError(f"--group-from {group_from!r}: {error}") from error


def _group(path: Path, pattern: re.Pattern[str] | None, digest: str) -> str:
    if pattern is None:
        return digest
    found = pattern.search(path.name)
    if found is None:
        raise UsageError(f"--group-from {pattern.pattern!r} finds nothing in {path.name}")
    return found.group(1) if pattern.groups else found.group(0)


def _joined(pictures: Sequence[Picture]) -> list[Picture]:
    """Groups that hold copies of one image become one group."""
    leader: dict[str, str] = {}

    def find(group: str) -> str:
        while leader.setdefault(group, group) != group:
            group = leader[group]
        return group

    first: dict[str, str] = {}
    for picture in pictures:
        known = first.setdefault(picture.sha256, picture.group)
        one, other = sorted((find(known), find(picture.group)))
        leader[other] = one
    return [replace(picture, group=find(picture.group)) for picture in pictures]


def _check_labels(folder: Path, pictures: Sequence[Picture]) -> None:
    seen: dict[str, Picture] = {}
    for picture in pictures:
        other = seen.setdefault(picture.sha256, picture)
        if other.tumour != picture.tumour:
            raise CohortError(
                folder, f"{other.path} and {picture.path} are the same image in both classes"
            )
