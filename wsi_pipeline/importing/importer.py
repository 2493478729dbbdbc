"""Makes a package of a source: classes, preprocessing, reference, measured tolerances."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsi_pipeline import durable
from wsi_pipeline.importing.maps import as_rows, describe_map, reference_count, reference_maps
from wsi_pipeline.importing.recognise import read_source
from wsi_pipeline.importing.source import (
    IMAGENET,
    Floats,
    Head,
    ImportRefusedError,
    ImportRequest,
    Source,
)
from wsi_pipeline.model.description import (
    GRAPH,
    GRAPH_WEIGHTS,
    REFERENCE,
    ModelDescription,
    Precision,
)
from wsi_pipeline.model.onnx_runtime import OnnxPredictor
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.package import (
    MIN_REFERENCE_PATCHES,
    ModelPackage,
    load_package,
    write_description,
    write_npz,
)
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.preprocessing import Preparer
from wsi_pipeline.model.reference_check import answer_reference
from wsi_pipeline.model.runtime import RuntimeRequest, load_predictor
from wsi_pipeline.synth import render_patches

#: How near fp32 must come to the source's runtime.
_FP32 = 1e-4
#: Reduced precisions are allowed this many times what they were measured at, if that is near.
_SPARE, _MOST = 2.0, {"bf16": 0.05, "int8": 0.15}
#: Where this machine cannot measure bf16; every machine that has it measures before using it.
_UNMEASURED_BF16 = 0.05
_POSITIVE = ("tumor", "tumour", "cancer", "malignant", "metasta", "carcinoma", "lymphocyte")
_NEGATIVE = ("non", "not", "no ", "no_", "neg", "without")
_KINDS = ("tumour", "normal", "border")
_DRAWN_EACH, _SEED, _DRAWN_MPP = 8, 20_171, (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a source.

    Attributes:
        package: The new package.
        form: What the source was.
        difference: Largest difference of fp32 from the source's runtime.
        told: What was guessed, for the user, a sentence each.
    """

    package: ModelPackage
    form: str
    difference: float
    told: tuple[str, ...]


def import_model(
    path: Path, request: ImportRequest, folder: Path, cache: Path, *, overwrite: bool = False
) -> Imported:
    """Make a package of a model in another program's form, whole or not at all.

    Args:
        path: The model's file or folder.
        request: What the user says of it.
        folder: Of the package.
        cache: For converted models.
        overwrite: Whether a package there may be replaced.

    Raises:
        ImportRefusedError: it cannot be imported as asked.
        PackageError: the package does not run here as its source does.
    """
    if folder.exists() and not overwrite:
        raise ImportRefusedError(folder, "already exists; pass --overwrite to replace it")
    source, told = read_source(path, request), list[str]()
    fields = _input(path, source, request, told)
    patches = _patches(request, fields["patch_px"], fields["mpp"])
    count = reference_count(
        source, lambda n: _inputs(fields, patches[:n]), len(patches), fields["patch_px"]
    )
    # Evenly, since drawn ones are sorted by kind.
    patches = patches[:: len(patches) // count][:count]
    with durable.replacing_folder(folder, replace=overwrite) as new:
        inputs = _inputs(fields, patches)
        answers = source.answer(inputs, new)
        fields |= _classes(path, source, request, as_rows(answers), told)
        if answers.ndim == 4:
            fields |= describe_map(path, source, request, fields, inputs, answers, told)
            expected = reference_maps(path, fields, answers)
        else:
            expected = _probabilities(fields, answers)
        write_npz(new / REFERENCE, patches=patches, probabilities=expected)
        for document in source.documents:
            shutil.copyfile(document, new / document.name)
        difference, tolerance = _measured(path, source, new, fields, request, told)
        package = write_description(new, {**fields, "tolerance": tolerance})
        admitted = RuntimeRequest("cpu", "fp32", cache)
        load_predictor(package, admitted, threshold=0.5).close()
    return Imported(load_package(folder), source.form, difference, tuple(told))


def _input(path: Path, source: Source, request: ImportRequest, told: list[str]) -> dict[str, Any]:
    mpp, patch_px = request.mpp or source.mpp, request.patch_px or source.patch_px or source.side
    if mpp is None:
        raise ImportRefusedError(path, "does not say its resolution; pass --mpp (µm per px)")
    if patch_px is None:
        raise ImportRefusedError(path, "does not say the side of a patch; pass --patch-px")
    steps = source.preprocessing.model_dump(mode="json")
    if source.side is not None and source.preprocessing.side(patch_px) != source.side:
        steps["resize"] = {"px": source.side}
        told.append(f"patches are resized from {patch_px} to {source.side} px, bilinear")
    mean, std = request.mean or source.mean, request.std or source.std
    if mean is None or std is None:
        told.append("it does not say its normalisation: ImageNet's mean and std; else pass --mean")
        mean, std = mean or IMAGENET[0], std or IMAGENET[1]
    licence = request.licence or source.licence
    if licence is None:
        told.append("it does not say its licence; pass --licence")
    return {
        "name": request.name,
        "version": "1",
        "architecture": {"name": source.architecture},
        "patch_px": patch_px,
        "preprocessing": steps,
        "mpp": mpp,
        "normalisation": {"mean": [255 * one for one in mean], "std": [255 * one for one in std]},
        "threshold": {"value": 0.5, "chosen": "by definition; not fitted"},
        "training": {"data": f"not known here: imported from {path.name} ({source.form})"},
        "licence": licence or "not stated by the source",
        "intended_use": "as its maker says; not judged here",
        "tolerance": {"fp32": 1.0, "bf16": 1.0, "int8": 1.0},
    }


def _patches(request: ImportRequest, side: int, mpp: float) -> NDArray[np.uint8]:
    given = request.reference
    if given is None:
        near = min(_DRAWN_MPP, key=lambda one: abs(np.log(one / mpp)))
        drawn = [
            render_patches(kind, _DRAWN_EACH, seed=_SEED, patch_px=side, mpp=near)  # type: ignore[arg-type]  # one of the kinds
            for kind in _KINDS
        ]
        return np.concatenate(drawn)
    try:
        if given.is_dir():
            files = sorted(one for one in given.iterdir() if one.is_file())
            patches = np.stack([np.asarray(Image.open(one).convert("RGB")) for one in files])
        else:
            with np.load(given, allow_pickle=False) as data:
                patches = data["patches"]
    except (OSError, ValueError, KeyError) as error:
        raise ImportRefusedError(given, f"holds no patches of one size: {error}") from error
    sound = patches.dtype == np.uint8 and patches.shape[1:] == (side, side, 3)
    if not sound or len(patches) < MIN_REFERENCE_PATCHES:
        raise ImportRefusedError(
            given, f"must hold at least {MIN_REFERENCE_PATCHES} RGB patches of {side} × {side} px"
        )
    return patches


def _inputs(fields: dict[str, Any], patches: NDArray[np.uint8]) -> Floats:
    """What the source's network is given, normalised as torchvision does: px / 255 first."""
    pins = dict.fromkeys(("weights.safetensors", "network.xml", "network.bin", REFERENCE), "")
    prepared = Preparer(ModelDescription.model_validate({**fields, "files": pins}))(patches)
    mean, std = (
        np.asarray(fields["normalisation"][key], np.float32) / np.float32(255)
        for key in ("mean", "std")
    )
    pixels = (prepared.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _classes(
    path: Path, source: Source, request: ImportRequest, answers: Floats, told: list[str]
) -> dict[str, Any]:
    if not np.isfinite(answers).all():
        raise ImportRefusedError(path, "answers with numbers that are not finite (NaN)")
    count = 1 if answers.ndim == 1 else answers.shape[1]
    names = request.classes or source.classes
    if not names:
        names = ("tumour",) if count == 1 else tuple(f"class-{one}" for one in range(count))
        told.append(f"it does not name its classes: {', '.join(names)}; else pass --classes")
    if count == 1 and len(names) == 1:
        names = (f"not {names[0]}", names[0])
    if len(names) != max(count, 2):
        raise ImportRefusedError(
            path, f"answers with {count} numbers and {len(names)} classes are named; pass --classes"
        )
    positive = request.positive or _guessed(names, told)
    if positive not in names:
        raise ImportRefusedError(path, f"has no class {positive!r}; it has {', '.join(names)}")
    if count == 1 and positive != names[1]:
        raise ImportRefusedError(path, f"its one number is the probability of {names[1]}")
    head = request.head or _head(source, answers, told)
    if count == 1 or (count == 2 and head == "softmax"):
        task = "binary"
    else:  # two ready probabilities have a plane each
        task = "multilabel" if head == "sigmoid" else "multiclass"
    return {"task": task, "classes": list(names), "positive": positive, "head": head}


def _guessed(names: tuple[str, ...], told: list[str]) -> str:
    low = {name: name.lower() for name in names}
    likely = [
        name
        for name, text in low.items()
        if any(word in text for word in _POSITIVE) and not text.startswith(_NEGATIVE)
    ]
    positive = likely[0] if likely else names[-1]
    told.append(f"the class of interest is taken to be {positive}; else pass --positive")
    return positive


def _head(source: Source, answers: Floats, told: list[str]) -> Head:
    rows = answers.reshape(len(answers), -1)
    if source.head == "by number":
        return "sigmoid" if rows.shape[1] == 1 else "softmax"
    within = bool((rows >= 0).all() and (rows <= 1).all())
    ready = within and (rows.shape[1] == 1 or np.allclose(rows.sum(1), 1, atol=1e-4))
    head: Head = "none" if ready else "sigmoid" if rows.shape[1] == 1 else "softmax"
    what = "probabilities" if ready else f"logits, whose {head} is taken"
    told.append(f"its answers are taken to be {what}; else pass --head")
    return head


def _probabilities(fields: dict[str, Any], answers: Floats) -> Floats:
    rows = answers.reshape(len(answers), -1).astype(np.float64)
    if fields["head"] == "sigmoid":
        rows = 1 / (1 + np.exp(-rows))
    if fields["head"] == "softmax":
        rows = np.exp(rows - rows.max(1, keepdims=True))
        rows /= rows.sum(1, keepdims=True)
    if fields["task"] == "binary":
        column = fields["classes"].index(fields["positive"]) if rows.shape[1] == 2 else 0
        rows = rows[:, column]
    return rows.astype(np.float32)


def _measured(
    path: Path,
    source: Source,
    folder: Path,
    fields: dict[str, Any],
    request: ImportRequest,
    told: list[str],
) -> tuple[float, dict[Precision, float]]:
    """How far fp32 is from the source, and what is allowed to each precision."""
    package = write_description(folder, fields)
    with tempfile.TemporaryDirectory() as cache:
        difference = _difference(package, "fp32", Path(cache))
        if not difference <= _FP32 and source.keep is not None:
            difference = _kept(source, folder, fields, difference, told)
            if difference <= _FP32:
                return difference, {"fp32": _FP32}
        if not difference <= _FP32:
            raise ImportRefusedError(
                path,
                f"OpenVINO's probabilities differ from the source's by {difference:.3g}, more than "
                f"{_FP32:g}; it is not imported",
            )
        tolerance: dict[Precision, float] = {"fp32": _FP32, "bf16": _UNMEASURED_BF16}
        able: list[Precision] = [*(("bf16",) if "bf16" in cpu_precisions() else ())]
        if request.int8:
            able.append("int8")
        for precision in able:
            tolerance.pop(precision, None)
            found = _difference(package, precision, Path(cache))
            if _SPARE * found <= _MOST[precision]:
                tolerance[precision] = round(max(_SPARE * found, 0.01), 4)
    return difference, tolerance


def _kept(
    source: Source, folder: Path, fields: dict[str, Any], difference: float, told: list[str]
) -> float:
    """Put the source's own network into the package; how far its runtime is from the reference."""
    assert source.keep is not None  # asked before
    for name in (GRAPH, GRAPH_WEIGHTS):
        (folder / name).unlink()
    source.keep(folder)
    fields["architecture"] = {"name": "onnx"}
    told.append(
        f"OpenVINO differs from it by {difference:.2g}: {source.runtime} computes it, which is "
        "slower, and has fp32 only"
    )
    predictor = OnnxPredictor(write_description(folder, fields))
    return _difference_of(load_package(folder), predictor)


def _difference(package: ModelPackage, precision: Precision, cache: Path) -> float:
    return _difference_of(package, OpenVinoPredictor(package, precision, cache))


def _difference_of(package: ModelPackage, predictor: Predictor) -> float:
    try:
        found = answer_reference(package, predictor)
        return float(np.abs(found - package.reference()[1]).max())
    finally:
        predictor.close()
