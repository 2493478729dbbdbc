"""Model packages: a folder with a network and everything needed to use it.

``model.yaml`` describes the model and pins every other file by SHA-256; ``weights.safetensors``
holds the weights, or ``network.xml`` and ``network.bin`` the network as an OpenVINO graph;
``reference.npz`` holds patches and the fp32 probabilities (of an encoder the features) that a
runtime has to reproduce before it is trusted; ``calibration.npz``, which may be missing, holds more
patches, on which int8 ranges are fitted; ``conformal.npz``, which may be missing too, what
prediction sets are made with, ``seen.npz`` which images the model was made from, and
``training-features.npz`` what its training patches looked like. The package's own hash is that of
``model.yaml``, which therefore identifies everything.
"""

import functools
import hashlib
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from wsi_pipeline.classes import Classes
from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.description import DOCUMENTS, REFERENCE, ModelDescription
from wsi_pipeline.model.predictor import Head
from wsi_pipeline.model.screen_section import SCREEN

DESCRIPTION = "model.yaml"
CALIBRATION = "calibration.npz"
CONFORMAL = "conformal.npz"
SEEN = "seen.npz"
TRAINING_FEATURES = "training-features.npz"
MIN_REFERENCE_PATCHES = 16
#: Characters that are shown of a text that came with a model.
_MOST_TEXT = 40_000
#: Of a model that answers with maps, each of which is many numbers.
MIN_REFERENCE_MAPS = 3
#: Cells along a side of a map that a reference keeps, at most.
_KEPT_CELLS = 64


@dataclass(frozen=True)
class ModelPackage:
    """A verified package.

    Attributes:
        folder: Where it lies.
        description: The contents of its ``model.yaml``.
        sha256: SHA-256 (hex) of ``model.yaml``; identifies the whole package.
    """

    folder: Path
    description: ModelDescription
    sha256: str

    @property
    def name(self) -> str:
        """The package's name."""
        return self.description.name

    @property
    def classes(self) -> Classes:
        """What it answers for."""
        return self.description.classification

    def head(self, *, features: bool) -> Head:
        """What a runtime is asked to answer with.

        Args:
            features: Whether features are kept; where not, they may be wanted for the slide's
                answer, or to tell how far tiles are from the training patches.
        """
        if self.description.output == "features":
            return "features"
        wanted = features or self.needs_features or self.knows_features
        return "both" if wanted else "classes"

    @property
    def weights(self) -> Path:
        """The weights file, or the network itself."""
        return self.folder / self.description.network_file

    def reference(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Reference patches and what the model answers in fp32.

        Returns:
            Patches ``(n, patch, patch, 3)`` RGB; probabilities ``(n,)`` of a binary model, else
            ``(n, classes)``; of maps those that :func:`thinned` keeps, in two more axes; of an
            encoder features, float32 ``(n, features)``.
        """
        answers = "features" if self.description.output == "features" else "probabilities"
        with np.load(self.folder / REFERENCE, allow_pickle=False) as data:
            return data["patches"], data[answers]

    def keeping_reference(self) -> "ModelPackage":
        """The same package, which reads its reference once: where it is asked for often."""
        return _Referenced(self.folder, self.description, self.sha256)

    def documents(self) -> dict[str, str]:
        """Texts that came with the model: its maker's card, its licence; by name, shortened."""
        texts = {}
        for name in DOCUMENTS:
            if name in self.description.files:
                with (self.folder / name).open(encoding="utf-8", errors="replace") as file:
                    texts[name] = file.read(_MOST_TEXT)
        return texts

    def calibration(self) -> NDArray[np.uint8]:
        """Patches ``(n, patch, patch, 3)`` RGB, of all kinds, to fit int8 ranges on."""
        if CALIBRATION not in self.description.files:
            return self.reference()[0]
        with np.load(self.folder / CALIBRATION, allow_pickle=False) as data:
            patches: NDArray[np.uint8] = data["patches"]
        return patches

    def conformal_scores(self) -> NDArray[np.float64] | None:
        """Of validation images 1 - p(true class), float64 ``(n,)``; None where it holds none.

        :mod:`wsi_pipeline.images.conformal` makes prediction sets of them.

        Raises:
            PackageError: the file does not hold such numbers.
        """
        kept = self._arrays(CONFORMAL, "scores")
        if kept is None:
            return None
        scores: NDArray[np.float64] = kept["scores"]
        sound = scores.ndim == 1 and scores.dtype == np.float64 and len(scores) > 0
        if not sound or not bool(((scores >= 0) & (scores <= 1)).all()):
            raise PackageError(
                self.folder, f"{CONFORMAL} must hold scores, float64 of 0-1, one for each image"
            )
        return scores

    def seen(self) -> dict[str, NDArray[np.uint64]] | None:
        """Of the images that ``train`` and ``validation`` of it were; None where it holds none.

        :mod:`wsi_pipeline.images.seen` says what is kept of each, uint64 ``(n,)``.

        Raises:
            PackageError: the file does not hold such numbers.
        """
        kept = self._arrays(SEEN, "train", "validation")
        if kept is not None and any(
            one.ndim != 1 or one.dtype != np.uint64 for one in kept.values()
        ):
            raise PackageError(self.folder, f"{SEEN} must hold uint64, one for each image")
        return kept

    def training_features(self) -> dict[str, NDArray[Any]] | None:
        """What its training patches looked like; None where it does not say.

        :mod:`wsi_pipeline.shift.statistics` says what is kept.

        Raises:
            PackageError: the file cannot be read.
        """
        return self._arrays(TRAINING_FEATURES)

    def screen(self) -> dict[str, NDArray[Any]] | None:
        """Arrays of its screen's network; None where it has none.

        Raises:
            PackageError: the file cannot be read.
        """
        return None if self.description.screen is None else self._arrays(SCREEN)

    @functools.cached_property
    def knows_features(self) -> bool:
        """Whether it keeps what the pooled features of its training patches looked like."""
        kept = self.training_features()
        return kept is not None and "means" in kept

    @property
    def needs_features(self) -> bool:
        """Whether its answer for slides is computed from the features of all tiles."""
        section = self.description.slide_level
        return section is not None and section.needs_features

    @property
    def run_head(self) -> Head:
        """What a runtime has to answer with, so that a result can say all it should."""
        return self.head(features=False)

    def _arrays(self, name: str, *wanted: str) -> dict[str, NDArray[Any]] | None:
        """Arrays of a file that may be missing, all where none is named; None if it is."""
        if name not in self.description.files:
            return None
        try:
            # Opened here, for numpy leaves a file open that is no sound zip.
            with (
                (self.folder / name).open("rb") as file,
                np.load(file, allow_pickle=False) as data,
            ):
                return {one: data[one] for one in wanted or data.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise PackageError(self.folder, f"{name} cannot be read: {error}") from error


class _Referenced(ModelPackage):
    """A package that keeps its reference in memory once it was read."""

    @functools.cached_property
    def _kept(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return super().reference()

    def reference(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """See :meth:`ModelPackage.reference`; the arrays must not be changed."""
        return self._kept


def thinned(answers: NDArray[np.float32], description: ModelDescription) -> NDArray[np.float32]:
    """Of answers with maps what a reference keeps: cells at even distances, 64 × 64 at most.

    Args:
        answers: For any number of patches.
        description: Of the model; one that answers with numbers keeps all.
    """
    if description.map is None:
        return answers
    step = -(-answers.shape[-1] // _KEPT_CELLS)
    return answers[..., step // 2 :: step, step // 2 :: step]


def load_package(
    folder: Path, *, expect: str | None = None, only: Collection[str] | None = None
) -> ModelPackage:
    """Load a package if, and only if, every file is what ``model.yaml`` says it is.

    Args:
        folder: The package.
        expect: The hash it must have, where one is known.
        only: Files that will be used, where that is not all; no others are looked at.

    Raises:
        PackageError: something is missing, altered or out of range.
    """
    path = folder / DESCRIPTION
    try:
        text = path.read_bytes()
    except OSError as error:
        raise PackageError(folder, f"cannot read {DESCRIPTION}: {error.strerror}") from error
    try:
        description = ModelDescription.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise PackageError(folder, f"{DESCRIPTION} is not valid: {first_line(error)}") from error
    for name, stated in description.files.items():
        if Path(name).name != name:
            raise PackageError(folder, f"{name!r} is not a file of the package's own folder")
        if only is not None and name not in only:
            continue
        try:
            with (folder / name).open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PackageError(folder, f"cannot read {name}: {error.strerror}") from error
        if actual != stated:
            raise PackageError(folder, f"{name} was altered: SHA-256 {actual}, stated {stated}")
    package = ModelPackage(folder, description, hashlib.sha256(text).hexdigest())
    if expect not in (None, package.sha256):
        raise PackageError(folder, f"is another package than expected: {package.sha256}")
    if only is None:
        _check_reference(package)
        package.conformal_scores()
        package.seen()
    return package


def _check_reference(package: ModelPackage) -> None:
    try:
        patches, probabilities = package.reference()
    except (OSError, ValueError, KeyError) as error:
        raise PackageError(package.folder, f"{REFERENCE} cannot be read: {error}") from error
    about, side = package.description, package.description.patch_px
    shape = thinned(np.zeros((1, *about.answer), np.float32), about).shape[1:]
    if about.output == "features":
        shape = probabilities.shape[1:] if probabilities.ndim == 2 else (1,)
    least = MIN_REFERENCE_PATCHES if about.map is None else MIN_REFERENCE_MAPS
    sound = (
        patches.dtype == np.uint8
        and patches.shape[1:] == (side, side, 3)
        and probabilities.shape == patches.shape[:1] + shape
        and len(patches) >= least
        and bool(np.isfinite(probabilities).all())
    )
    if not sound:
        raise PackageError(
            package.folder,
            f"{REFERENCE} must hold at least {least} uint8 patches of "
            f"{side}×{side}×3 and finite probabilities for each, one for each class of a model of "
            f"several, or features of an encoder{_of_maps(shape) if about.map is not None else ''}",
        )


def _of_maps(shape: tuple[int, ...]) -> str:
    return f", {' × '.join(str(side) for side in shape)} numbers of its map"


def first_line(error: Exception) -> str:
    """What is wrong with a description, in one line, with the field."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return str(error)
