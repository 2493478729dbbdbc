"""Makes a model package of weights somebody has: reference computed, files pinned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from wsi_pipeline import durable
from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.description import REFERENCE, WEIGHTS, ModelDescription
from wsi_pipeline.model.network import Classifier, save_weights
from wsi_pipeline.model.package import (
    CALIBRATION,
    DESCRIPTION,
    MIN_REFERENCE_PATCHES,
    ModelPackage,
    load_package,
)
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.model.preprocessing import Preparer

#: Largest difference from the reference allowed to a runtime, where the description names none.
TOLERANCE = {"fp32": 0.002, "bf16": 0.05, "fp16": 0.02, "int8": 0.3}
#: How far stated reference probabilities may be from what the weights give in fp32.
_AGREEMENT = 1e-3
_IMAGES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
_BATCH = 8
#: Training wrappers put this before every name.
_PREFIX = "module."
#: Torchvision's auxiliary head, which only training uses.
_AUXILIARY = "AuxLogits."


def pack(
    description: Path,
    weights: Path,
    patches: Path,
    folder: Path,
    *,
    calibration: Path | None = None,
    overwrite: bool = False,
) -> ModelPackage:
    """Write a package, whole or not at all.

    Args:
        description: YAML with the fields of
            :class:`~wsi_pipeline.model.package.ModelDescription`; ``files`` is written anew,
            ``tolerance`` may be missing.
        weights: The whole network's, under timm's names: safetensors, or a state dict that
            ``torch.save`` wrote. Of the latter only tensors are read, no code runs.
        patches: At least 16 reference patches: a folder of images, or an npz with ``patches``.
            Their probabilities are computed here in fp32; where the npz states some, they must
            agree.
        folder: Of the package.
        calibration: More patches, of all kinds, to fit int8 ranges on.
        overwrite: Whether a package there may be replaced.

    Raises:
        PackageError: something does not fit together, or a package is in the way.
    """
    if folder.exists() and not overwrite:
        raise PackageError(folder, "already exists; pass --overwrite to replace it")
    fields = _fields(description)
    try:
        pins = dict.fromkeys((WEIGHTS, REFERENCE), "")
        described = ModelDescription.model_validate({**fields, "files": pins})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PackageError(description, f"{place}: {first['msg']}") from error
    classifier = Classifier(described)
    _load(classifier, weights)
    reference, stated = _patches(patches, described.patch_px)
    probabilities = _probabilities(classifier, Preparer(described)(reference))
    if stated is not None:
        _compare(patches, stated, probabilities)
    with durable.replacing_folder(folder, replace=overwrite) as unfinished:
        save_weights(classifier.network, unfinished / WEIGHTS)
        write_npz(unfinished / REFERENCE, patches=reference, probabilities=probabilities)
        if calibration is not None:
            more, _ = _patches(calibration, described.patch_px)
            write_npz(unfinished / CALIBRATION, patches=more)
        write_description(unfinished, fields)
    return load_package(folder)


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PackageError(path, f"cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise PackageError(path, f"is no description; it has the fields of {DESCRIPTION}")
    fields.pop("files", None)
    return {"tolerance": TOLERANCE, **fields}


def _load(classifier: Classifier, path: Path) -> None:
    tensors = _tensors(path)
    if tensors and all(name.startswith(_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
    wanted = classifier.network.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AUXILIARY)}
    # Counters that inference does not look at; older files lack them.
    missing = sorted(
        name for name in wanted.keys() - given.keys() if not name.endswith("num_batches_tracked")
    )
    for names, what in ((missing, "lacks"), (sorted(given.keys() - wanted.keys()), "also has")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise PackageError(
                path, f"{what} {names[0]}{more}; are the weights of this architecture?"
            )
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise PackageError(
                path, f"{name} is {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise PackageError(path, f"{name} holds values that are not finite")
    classifier.network.load_state_dict({**wanted, **given})
    classifier.eval()


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, safetensors.SafetensorError) as error:
        raise PackageError(path, f"cannot be read: {error}") from error
    except Exception as error:  # torch meets what is no state dict with many kinds of error
        raise PackageError(path, f"is no state dict of tensors: {error}") from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(torch.is_tensor(one) for one in loaded.values()):
        raise PackageError(path, "is no state dict of tensors")
    return loaded


def _patches(path: Path, side: int) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Patches ``(n, side, side, 3)``, and their stated probabilities ``(n,)``."""
    stated = None
    try:
        if path.is_dir():
            files = sorted(f for f in path.iterdir() if f.suffix.lower() in _IMAGES)
            images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
            wrong = [
                f.name for f, i in zip(files, images, strict=True) if i.shape != (side, side, 3)
            ]
            if wrong:
                raise PackageError(path, f"{wrong[0]} is not {side} × {side} px")
            patches = np.stack(images) if images else np.zeros((0, side, side, 3), np.uint8)
        else:
            with np.load(path, allow_pickle=False) as data:
                patches = data["patches"]
                stated = data.get("probabilities")
    except (OSError, ValueError, KeyError) as error:
        raise PackageError(path, f"holds no patches that can be read: {error}") from error
    if patches.dtype != np.uint8 or patches.shape[1:] != (side, side, 3):
        raise PackageError(path, f"its patches are not uint8 of {side} × {side} × 3")
    if len(patches) < MIN_REFERENCE_PATCHES:
        raise PackageError(
            path, f"holds {len(patches)} patches, and at least {MIN_REFERENCE_PATCHES} are needed"
        )
    return patches, stated


def _probabilities(classifier: Classifier, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.inference_mode():
        parts = [
            classifier(torch.from_numpy(patches[i : i + _BATCH]).permute(0, 3, 1, 2).float())
            for i in range(0, len(patches), _BATCH)
        ]
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return found


def _compare(path: Path, stated: NDArray[np.float32], computed: NDArray[np.float32]) -> None:
    if stated.shape != computed.shape:
        raise PackageError(path, "does not state one probability for each patch")
    worst = float(np.abs(stated - computed).max())
    if not worst <= _AGREEMENT:
        raise PackageError(
            path,
            f"states probabilities {worst:.3g} away from those of the weights; are weights, "
            "normalisation, calibration or order of classes others?",
        )
