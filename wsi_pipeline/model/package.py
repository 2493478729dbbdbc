"""Model packages: a folder with weights and everything needed to use them.

``model.yaml`` describes the model and pins every other file by SHA-256; ``weights.safetensors``
holds the weights; ``reference.npz`` holds patches and the fp32 probabilities a runtime has to
reproduce before it is trusted; ``calibration.npz``, which may be missing, holds more patches, on
which int8 ranges are fitted. The package's own hash is that of ``model.yaml``, which therefore
identifies everything.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from wsi_pipeline.errors import PackageError

DESCRIPTION = "model.yaml"
WEIGHTS = "weights.safetensors"
REFERENCE = "reference.npz"
CALIBRATION = "calibration.npz"
MIN_REFERENCE_PATCHES = 16
#: Names of the networks; `model.network` builds them. Here because a description is checked
#: where torch is not installed.
NETWORKS = ["inception_v3", "vgg16", "baseline"]

Precision = Literal["fp32", "bf16", "fp16", "int8"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Frozen):
    """The network: the name of its trunk and what this project puts behind it."""

    name: str
    pooling: Literal["max", "average"] = "max"
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in NETWORKS:
            raise ValueError(f"there is no network {name!r}; choose one of {', '.join(NETWORKS)}")
        return name


class Normalisation(_Frozen):
    """Per-channel ``(value - mean) / std`` on RGB values 0-255."""

    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)


class Threshold(_Frozen):
    """The probability at and above which a cell is called tumour, and how it was chosen."""

    value: float = Field(gt=0, lt=1)
    chosen: str


class Calibration(_Frozen):
    """Temperature the logit is divided by before the sigmoid (Guo et al. 2017); 1 leaves it."""

    temperature: float = Field(default=1.0, gt=0)
    fitted: str = "not calibrated"


Triple = tuple[float, float, float]


class TrainingColours(_Frozen):
    """Optical densities (R, G, B) of the training patches' tissue px.

    Attributes:
        patches: How many were measured.
        mean: Mean of their means.
        std: Mean of their standard deviations.
        covariance: Of their means, from patch to patch.
    """

    patches: int = Field(ge=8)
    mean: Triple
    std: Triple
    covariance: tuple[Triple, Triple, Triple]

    @model_validator(mode="after")
    def _is_covariance(self) -> Self:
        matrix = np.array(self.covariance)
        # Rounded to a few digits, the least eigenvalue may end a little below zero.
        if not (np.array_equal(matrix, matrix.T) and np.linalg.eigvalsh(matrix)[0] > -1e-5):
            raise ValueError("the covariance is not symmetric and positive")
        return self


class Training(_Frozen):
    """What the model was trained on and how well it did there, in its maker's words."""

    data: str
    synthetic: bool = False
    metrics: dict[str, float] = Field(default_factory=dict)
    #: To tell slides that look otherwise; where absent, reference and calibration patches serve.
    colours: TrainingColours | None = None


class ModelDescription(_Frozen):
    """The contents of ``model.yaml``."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str
    architecture: Architecture
    classes: tuple[str, ...] = ("normal", "tumour")
    positive: str = "tumour"
    patch_px: int = Field(gt=0, le=4096)
    #: µm per px of the training patches; or
    mpp: float | None = Field(default=None, gt=0)
    #: the pyramid level they were cut from.
    level: int | None = Field(default=None, ge=0)
    normalisation: Normalisation = Normalisation()
    threshold: Threshold
    calibration: Calibration = Calibration()
    training: Training
    licence: str
    intended_use: str
    #: Largest difference from the reference probabilities allowed to a runtime of each precision.
    tolerance: Mapping[Precision, float]
    #: SHA-256 (hex) of every other file of the package.
    files: Mapping[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mpp is None) == (self.level is None):
            raise ValueError("give exactly one of mpp and level")
        if self.positive not in self.classes:
            raise ValueError(f"the positive class {self.positive!r} is not among the classes")
        missing = {WEIGHTS, REFERENCE} - set(self.files)
        if missing:
            raise ValueError(f"no SHA-256 for {', '.join(sorted(missing))}")
        if "fp32" not in self.tolerance:
            raise ValueError("no tolerance for fp32")
        return self


@dataclass(frozen=True, slots=True)
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
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / WEIGHTS

    def reference(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Reference patches ``(n, patch, patch, 3)`` RGB and their fp32 probabilities ``(n,)``."""
        with np.load(self.folder / REFERENCE, allow_pickle=False) as data:
            return data["patches"], data["probabilities"]

    def calibration(self) -> NDArray[np.uint8]:
        """Patches ``(n, patch, patch, 3)`` RGB, of all kinds, to fit int8 ranges on."""
        if CALIBRATION not in self.description.files:
            return self.reference()[0]
        with np.load(self.folder / CALIBRATION, allow_pickle=False) as data:
            patches: NDArray[np.uint8] = data["patches"]
        return patches


def load_package(folder: Path, *, expect: str | None = None) -> ModelPackage:
    """Load a package if, and only if, every file is what ``model.yaml`` says it is.

    Args:
        folder: The package.
        expect: The hash it must have, where one is known.

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
        raise PackageError(folder, f"{DESCRIPTION} is not valid: {_first_line(error)}") from error
    for name, stated in description.files.items():
        if Path(name).name != name:
            raise PackageError(folder, f"{name!r} is not a file of the package's own folder")
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
    _check_reference(package)
    return package


def write_description(folder: Path, description: Mapping[str, Any]) -> ModelPackage:
    """Pin the files of a new package and describe it; the last step of building one.

    Args:
        folder: Holds the weights and the reference.
        description: The fields of :class:`ModelDescription` but ``files``.

    Raises:
        PackageError: the description or the files are not valid.
    """
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != DESCRIPTION
    }
    try:
        checked = ModelDescription.model_validate({**description, "files": files})
    except ValidationError as error:
        raise PackageError(folder, _first_line(error)) from error
    text = yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")
    return load_package(folder)


def write_npz(path: Path, **arrays: NDArray[Any]) -> None:
    """An npz without time stamps: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def _check_reference(package: ModelPackage) -> None:
    try:
        patches, probabilities = package.reference()
    except (OSError, ValueError, KeyError) as error:
        raise PackageError(package.folder, f"{REFERENCE} cannot be read: {error}") from error
    side = package.description.patch_px
    sound = (
        patches.dtype == np.uint8
        and patches.shape[1:] == (side, side, 3)
        and probabilities.shape == patches.shape[:1]
        and len(patches) >= MIN_REFERENCE_PATCHES
        and bool(np.isfinite(probabilities).all())
    )
    if not sound:
        raise PackageError(
            package.folder,
            f"{REFERENCE} must hold at least {MIN_REFERENCE_PATCHES} uint8 patches of "
            f"{side}×{side}×3 and one finite probability for each",
        )


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    return str(error)
