"""Writing a package as one ONNX file, which must reproduce the package's reference."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
import torch
from numpy.typing import NDArray

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.onnx_file import PIXELS, PROBABILITIES, probe_pixels
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.preprocessing import Preparer

#: What browsers and other programs of the last years know.
_OPSET = 18
#: Reference patches computed at once.
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Exported:
    """What was found when an ONNX file was checked.

    Attributes:
        largest: Largest difference from the package's reference probabilities.
        probe: Probabilities of :func:`~wsi_pipeline.model.onnx_file.probe_pixels`.
    """

    largest: float
    probe: list[float]


def export_onnx(package: ModelPackage, path: Path) -> Exported:
    """Write a package as an ONNX file; see :mod:`wsi_pipeline.model.onnx_file` for what it takes.

    Args:
        package: The model.
        path: The new file.

    Raises:
        PackageError: it holds no weights, the network cannot be exported, or the file does not
            reproduce the reference within the package's tolerance for fp32.
    """
    kind = package.description.architecture.kind
    if kind != "weights":
        raise PackageError(
            package.folder,
            f"holds its network as {'an OpenVINO graph' if kind == 'graph' else 'an ONNX file'}, "
            "and only weights can be exported; use the file that it was imported from",
        )
    if package.description.output == "features":
        raise PackageError(
            package.folder, "is an encoder; only models with classes are written as ONNX"
        )
    classifier = load_classifier(package)
    side = package.description.input_px
    try:
        with warnings.catch_warnings(), _quiet("torch.onnx", "onnxscript"):
            # Remarks of the exporter on its own workings.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                classifier,
                (torch.zeros(2, 3, side, side),),
                input_names=[PIXELS],
                output_names=[PROBABILITIES],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter has many kinds of error
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PackageError(package.folder, f"cannot be written as ONNX: {told}") from error
    assert program is not None, "the exporter by dynamo returns what it made"
    program.model.metadata_props.update(_said(package))
    program.save(path, external_data=False)
    return _check(package, path)


def _said(package: ModelPackage) -> dict[str, str]:
    """What the file says of itself, as far as another program has to know."""
    about = package.description
    return {
        "name": about.name,
        "version": about.version,
        "package_sha256": package.sha256,
        "classes": json.dumps(list(package.classes.names)),
        "positive": about.positive,
        "task": about.task,
        "preprocessing": about.preprocessing.model_dump_json(),
        "licence": about.licence,
        "intended_use": about.intended_use,
        "notice": about.notice,
    }


def _check(package: ModelPackage, path: Path) -> Exported:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    patches, expected = package.reference()
    prepared = Preparer(package.description)(patches)
    found = np.concatenate(
        [
            _computed(session, prepared[start : start + _BATCH])
            for start in range(0, len(prepared), _BATCH)
        ]
    )
    largest = float(np.abs(found - expected).max())
    allowed = package.description.tolerance["fp32"]
    if not largest <= allowed:
        raise PackageError(
            package.folder,
            f"as ONNX it differs by {largest:.2g} from its reference, which allows {allowed:g}",
        )
    probe = _computed(session, probe_pixels(package.description.input_px))
    return Exported(largest, [float(value) for value in probe.ravel()])


def _computed(
    session: onnxruntime.InferenceSession, prepared: NDArray[np.uint8]
) -> NDArray[np.float32]:
    pixels = prepared.transpose(0, 3, 1, 2).astype(np.float32)
    (answers,) = session.run(None, {PIXELS: pixels})
    return np.asarray(answers, np.float32)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep loggers from writing on the user's terminal."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
