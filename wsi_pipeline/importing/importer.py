"""Makes a package of a source: classes, preprocessing, reference, measured tolerances."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from wsi_pipeline import durable
from wsi_pipeline.errors import PackageError
from wsi_pipeline.importing.answers import describe_answers, features_of, probabilities_of
from wsi_pipeline.importing.maps import as_rows, describe_map, reference_count, reference_maps
from wsi_pipeline.importing.recognise import read_source
from wsi_pipeline.importing.source import (
    IMAGENET,
    Floats,
    ImportRefusedError,
    ImportRequest,
    Source,
)
from wsi_pipeline.model.conversion import convert_here, keep_conversions
from wsi_pipeline.model.description import (
    CARD,
    GRAPH,
    GRAPH_WEIGHTS,
    REFERENCE,
    ModelDescription,
    Precision,
)
from wsi_pipeline.model.input_description import Preprocessing
from wsi_pipeline.model.onnx_runtime import OnnxPredictor
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.package import MIN_REFERENCE_PATCHES, ModelPackage, load_package
from wsi_pipeline.model.pinning import write_description, write_npz
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.preprocessing import Preparer
from wsi_pipeline.model.reference_check import (
    FEATURE_TOLERANCE,
    answer_reference,
    least_cosine,
)
from wsi_pipeline.synth import render_patches

#: How near fp32 must come to the source's runtime.
_FP32 = 1e-4
#: Reduced precisions are allowed this many times what they were measured at, if that is near.
_SPARE, _MOST = 2.0, {"bf16": 0.05, "int8": 0.15}
#: Where this machine cannot measure bf16; every machine that has it measures before using it.
_UNMEASURED_BF16 = 0.05
_KINDS = ("tumour", "normal", "border")
_DRAWN_EACH, _SEED, _DRAWN_MPP = 8, 20_171, (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a source.

    Attributes:
        package: The new package.
        form: What the source was.
        difference: Largest difference of fp32 from the source's runtime; of an encoder, by how
            much a cosine falls short of 1.
        told: What was guessed, for the user, a sentence each.
    """

    package: ModelPackage
    form: str
    difference: float
    told: tuple[str, ...]


def import_model(
    path: Path,
    request: ImportRequest,
    folder: Path,
    cache: Path,
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Imported:
    """Make a package of a model in another program's form, whole or not at all.

    Args:
        path: The model's file or folder.
        request: What the user says of it.
        folder: Of the package.
        cache: For converted models.
        overwrite: Whether a package there may be replaced.
        tell: Told what is being done.

    Raises:
        ImportRefusedError: it cannot be imported as asked, or does not run here as its source does.
    """
    if folder.exists() and not overwrite:
        raise ImportRefusedError(folder, "already exists; pass --overwrite to replace it")
    if request.card is not None and not request.card.is_file():
        raise ImportRefusedError(request.card, "is no file; --card takes a text about the model")
    tell("reading the model")
    source = read_source(path, request)
    told = list(source.guessed if request.resize else ())
    fields = _input(path, source, request, told)
    patches = _patches(request, fields["patch_px"], fields["mpp"])
    with _named(path), durable.replacing_folder(folder, replace=overwrite) as new:
        count = reference_count(
            source, lambda n: _inputs(fields, patches[:n]), len(patches), fields["patch_px"]
        )
        # Evenly, since drawn ones are sorted by kind.
        patches = patches[:: len(patches) // count][:count]
        tell(f"{source.form} answers {len(patches)} patches with {source.runtime}")
        inputs = _inputs(fields, patches)
        answers = source.answer(inputs, new)
        if len(answers) != len(patches):
            raise ImportRefusedError(
                path, f"answers {len(patches)} images with {list(answers.shape)} numbers"
            )
        if source.encoder is None:
            fields |= describe_answers(path, source, request, as_rows(answers), told)
        if source.encoder is not None:
            expected = features_of(path, answers)
        elif answers.ndim == 4:
            tell("the margin of the map is measured")
            fields |= describe_map(path, source, request, fields, inputs, answers, told)
            expected = reference_maps(path, fields, answers)
        else:
            expected = probabilities_of(path, fields, answers)
        kept = "probabilities" if source.encoder is None else "features"
        write_npz(new / REFERENCE, patches=patches, **{kept: expected})
        for document in source.documents:
            shutil.copyfile(document, new / document.name)
        if request.card is not None:
            shutil.copyfile(request.card, new / CARD)
        measured = write_description(new, fields)
        convert_here(measured, cache)
        difference, tolerance = _measured(
            path, source, measured, fields, request, cache, told, tell
        )
        package = write_description(new, {**fields, "tolerance": tolerance})
        keep_conversions(measured, package, cache)
    return Imported(load_package(folder), source.form, difference, tuple(told))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of a package name the source: the package is a draft, under a name of its own."""
    try:
        yield
    except PackageError as error:
        raise ImportRefusedError(path, error.cause) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ImportRefusedError(path, f"{place}: {first['msg']}".lstrip(": ")) from error


def _input(path: Path, source: Source, request: ImportRequest, told: list[str]) -> dict[str, Any]:
    mpp, patch_px = request.mpp or source.mpp, request.patch_px or source.patch_px or source.side
    if mpp is None:
        raise ImportRefusedError(path, "does not say its resolution; pass --mpp (µm per px)")
    if patch_px is None:
        raise ImportRefusedError(path, "does not say the side of a patch; pass --patch-px")
    if mpp <= 0 or not np.isfinite(mpp):
        raise ImportRefusedError(path, f"says {mpp} µm per px; pass --mpp")
    steps = (source.preprocessing if request.resize else Preprocessing()).model_dump(mode="json")
    fitting = Preprocessing.model_validate(steps).side(patch_px)
    if request.resize and source.side is not None and fitting != source.side:
        steps["resize"] = {"px": source.side}
        told.append(f"patches are resized from {patch_px} to {source.side} px, bilinear")
    mean, std = request.mean or source.mean, request.std or source.std
    if mean is None or std is None:
        told.append("it does not say its normalisation: ImageNet's mean and std; else pass --mean")
        mean, std = mean or IMAGENET[0], std or IMAGENET[1]
    licence = request.licence or source.licence
    if licence is None:
        told.append("it does not say its licence; else pass --licence")
    return {
        "name": request.name,
        "version": "1",
        "architecture": {"name": source.architecture, **(source.encoder or {})},
        "patch_px": patch_px,
        "preprocessing": steps,
        "mpp": mpp,
        "normalisation": {"mean": [255 * one for one in mean], "std": [255 * one for one in std]},
        **_answering(source),
        "training": {"data": f"not known here; imported from {path.name} ({source.form})"},
        "licence": licence or "unknown: its source states none",
        "intended_use": "as its maker says; not judged here",
        "tolerance": {"fp32": 1.0, "bf16": 1.0, "int8": 1.0},
    }


def _answering(source: Source) -> dict[str, Any]:
    if source.encoder is not None:
        return {"output": "features"}
    return {"threshold": {"value": 0.5, "chosen": "by definition; not fitted"}}


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


def _measured(
    path: Path,
    source: Source,
    package: ModelPackage,
    fields: dict[str, Any],
    request: ImportRequest,
    cache: Path,
    told: list[str],
    tell: Callable[[str], None],
) -> tuple[float, dict[Precision, float]]:
    """How far fp32 is from the source, and what is allowed to each precision."""
    tell("fp32 is compared with the source")
    difference = _difference(package, "fp32", cache)
    if not difference <= _FP32 and source.keep is not None:
        difference = _kept(source, package.folder, fields, difference, told)
        if difference <= _FP32:
            return difference, {"fp32": _FP32}
    if not difference <= _FP32:
        raise ImportRefusedError(
            path,
            f"OpenVINO's answers differ from the source's by {difference:.3g}, more than "
            f"{_FP32:g}; it is not imported",
        )
    encoder = source.encoder is not None
    most = FEATURE_TOLERANCE if encoder else _MOST
    unmeasured = FEATURE_TOLERANCE["bf16"] if encoder else _UNMEASURED_BF16
    tolerance: dict[Precision, float] = {"fp32": _FP32, "bf16": unmeasured}
    able: list[Precision] = [*(("bf16",) if "bf16" in cpu_precisions() else ())]
    if request.int8:
        able.append("int8")
    for precision in able:
        tell(f"{precision} is measured")
        tolerance.pop(precision, None)
        found = _difference(package, precision, cache)
        if encoder and found <= most[precision]:
            tolerance[precision] = most[precision]
        elif not encoder and _SPARE * found <= most[precision]:
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
    head = package.description.own_head
    return _difference_of(package, OpenVinoPredictor(package, precision, cache, head=head))


def _difference_of(package: ModelPackage, predictor: Predictor) -> float:
    try:
        found, expected = answer_reference(package, predictor), package.reference()[1]
        if package.description.output == "features":
            return 1 - least_cosine(found, expected)
        return float(np.abs(found - expected).max())
    finally:
        predictor.close()
