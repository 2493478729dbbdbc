"""Admitting a package's predictor: no precision or compiler is trusted without the reference."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import PrecisionChoice
from wsi_pipeline.classes import deviation, margin
from wsi_pipeline.errors import RuntimeRejectedError, UsageError
from wsi_pipeline.model.cascade import CascadePredictor, Stage
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.feature_admission import load_for_features
from wsi_pipeline.model.memory import check_memory
from wsi_pipeline.model.orientations import OrientedPredictor
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.reference_check import admit, admitted
from wsi_pipeline.model.runtime import Runtime, RuntimeRequest, choose_runtime, resolve_device

log = logging.getLogger(__name__)

#: Half-widths of a cascade's bands, in logits: this many times the largest error the stage showed
#: on reference patches in reach of the threshold, but never less than the floor. ``make bench``
#: counts the decisions that still differ.
_BAND_MARGIN = 2.0
_BAND_FLOOR = {"int8": 0.5, "bf16": 0.1, "fp16": 0.05}
#: Reference patches farther than this from the threshold (logits) say nothing of errors near it.
_BAND_REACH = 4.0


def load_predictor(
    package: ModelPackage, request: RuntimeRequest, *, threshold: float
) -> Predictor:
    """Load a package on the device asked for and hold it to the package's reference.

    Args:
        package: The model.
        request: Device and precision.
        threshold: The decision ``auto`` has to preserve.

    Raises:
        RuntimeRejectedError: the runtime does not reproduce the reference.
        UsageError: the combination does not exist.
        PackageError: the device cannot be used.
    """
    package = package.keeping_reference()  # every stage of a cascade is asked several times
    network, device = package.description.architecture.kind, resolve_device(request.device)
    if request.device == "auto" and network != "weights":
        device = "cpu"  # no GPU runtime computes the others
    runtime = choose_runtime(request.runtime, device, network)
    if request.precision in runtime.refuses:
        raise UsageError(runtime.refuses[request.precision])
    if package.description.output == "features" and request.head != "features":
        raise UsageError(
            f"{package.name} is an encoder: it has features and no classes; use `wsi features`, or "
            "choose a model with classes"
        )
    if request.head != "classes" and package.description.map is not None:
        raise UsageError(
            f"{package.name} answers with maps and has no features of a tile; choose a model that "
            "answers with a number for each class, or an encoder"
        )
    if request.head == "features":
        return load_for_features(
            package,
            _tried(package, runtime, request.precision),
            lambda precision, head: _load(
                package, runtime, replace(request, head=head), device, precision
            ),
            request.cache,
        )
    if request.precision == "auto":
        return _cascade(package, runtime, request, device, threshold)
    predictor, _ = admitted(
        partial(_load, package, runtime, request, device, request.precision),
        lambda loaded: admit(package, loaded, request.cache, request.head),
    )
    return _as_wanted(package, request, predictor)


def _load(
    package: ModelPackage,
    runtime: Runtime,
    request: RuntimeRequest,
    device: str,
    precision: Precision,
    batch_size: int | None = None,
) -> Predictor:
    """Load a package if the device can hold it."""
    check_memory(package, precision, device, batch_size or runtime.at_once)
    return runtime.load(package, request, device, precision, batch_size)


def _cascade(
    package: ModelPackage,
    runtime: Runtime,
    request: RuntimeRequest,
    device: str,
    threshold: float,
) -> Predictor:
    """Every admitted precision the package tolerates, then fp32; fp32 alone if none is admitted.

    Of maps fp32 alone: most tiles of tissue have px near the threshold and would be asked again.
    """
    stages: list[Stage] = []

    def load(precision: Precision, batch: int | None) -> tuple[Predictor, NDArray[np.float32]]:
        return admitted(
            partial(_load, package, runtime, request, device, precision, batch),
            lambda loaded: admit(package, loaded, request.cache, request.head),
        )

    *fast, _ = _tried(package, runtime, "auto") if package.description.map is None else ("fp32",)
    with ThreadPoolExecutor(1, thread_name_prefix="load") as beside:
        # Neither loading nor comparing a model has work for every core. A GPU may record its
        # graph of one model only while nobody uses it for another.
        last = None
        if fast and device == "cpu":
            last = beside.submit(load, "fp32", runtime.refine_batch)
        for precision in fast:
            try:
                predictor, values = load(precision, runtime.refine_batch if stages else None)
            except RuntimeRejectedError as error:
                log.warning("%s; continuing without it", error)
                continue
            band = _band(package, precision, values, threshold)
            stages.append(Stage(_as_wanted(package, request, predictor), band))
    if not stages:
        if last is not None and last.exception() is None:
            last.result()[0].close()  # its batches are those of a stage that has little work
        return _as_wanted(package, request, load("fp32", None)[0])
    predictor, _ = last.result() if last else load("fp32", runtime.refine_batch)
    final = Stage(_as_wanted(package, request, predictor), 0.0)
    return CascadePredictor([*stages, final], package.classes, threshold)


def _as_wanted(package: ModelPackage, request: RuntimeRequest, predictor: Predictor) -> Predictor:
    """An admitted predictor that answers once, or with means over orientations.

    Of a cascade every stage does, and its band still holds: where an error moves each logit by at
    most e, it moves the mean of several probabilities by at most e times the mean of p (1 - p),
    which is no more than m (1 - m) of their mean m: its logit by at most e, to first order.
    """
    if not request.tta:
        return predictor
    maps = package.description.map is not None
    return OrientedPredictor(predictor, package.classes, maps=maps)


def _tried(
    package: ModelPackage, runtime: Runtime, precision: PrecisionChoice
) -> tuple[Precision, ...]:
    """The precisions to try in turn, the last of which has to do."""
    if precision != "auto":
        return (precision,)
    fast = (one for one in runtime.precisions() if one in package.description.tolerance)
    return (*fast, "fp32")


def _band(
    package: ModelPackage, precision: Precision, values: NDArray[np.float32], threshold: float
) -> float:
    """The :func:`~wsi_pipeline.classes.margin` (logits) up to which a stage is not trusted."""
    expected, classes = package.reference()[1], package.classes
    near = margin(classes, expected, threshold) <= _BAND_REACH
    errors = deviation(classes, values, expected)[near]
    return max(_BAND_FLOOR[precision], _BAND_MARGIN * float(errors.max(initial=0.0)))
