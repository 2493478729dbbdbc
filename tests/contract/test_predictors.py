"""Every runtime keeps one contract, whatever the batch a patch happens to share."""

import locale
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import PrecisionChoice, RuntimeChoice
from wsi_pipeline.classes import TUMOUR_OR_NORMAL
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.cascade import CascadePredictor, Stage
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.linear_probe import as_pixels, pooled
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.openvino_library import ov
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.orientations import ORIENTATIONS, oriented
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.reference_check import FEATURE_TOLERANCE, least_cosine
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.model.torch_runtime import TorchCpuPredictor, TorchCudaPredictor
from wsi_pipeline.testing import FakePredictor, check_predictor, red_share
from wsi_pipeline.testing.maps import make_map_package
from wsi_pipeline.testing.models import colour_patches

THRESHOLD = 0.5


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_openvino(package: ModelPackage, model_cache: Path, precision: Precision) -> None:
    if precision not in cpu_precisions():
        pytest.skip(f"this CPU is not made for {precision}")
    patches, expected = package.reference()
    predictor = OpenVinoPredictor(package, precision, model_cache)
    assert predictor.info.precision == precision
    check_predictor(predictor, patches, expected, package.description.tolerance[precision])
    predictor.close()


def test_torch_on_the_cpu(package: ModelPackage) -> None:
    patches, expected = package.reference()
    predictor = TorchCpuPredictor(package, batch_size=5)
    check_predictor(predictor, patches[::2], expected[::2], 1e-5, anywhere=False)
    predictor.close()


def test_stages_loaded_beside_each_other_leave_the_locale(
    package: ModelPackage, model_cache: Path
) -> None:
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
        for _ in range(6):
            request = RuntimeRequest("cpu", "auto", model_cache)
            load_predictor(package, request, threshold=THRESHOLD).close()
            assert locale.setlocale(locale.LC_ALL) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_ALL, before)


def test_the_cascade_auto_makes(package: ModelPackage, model_cache: Path) -> None:
    patches, expected = package.reference()
    request = RuntimeRequest("cpu", "auto", model_cache)
    predictor = load_predictor(package, request, threshold=THRESHOLD)
    check_predictor(predictor, patches, expected, package.description.tolerance["int8"])
    if isinstance(predictor, CascadePredictor):
        # Patches it has never seen: every decision is fp32's.
        unseen = colour_patches(48, 96, seed=77)
        fp32 = OpenVinoPredictor(package, "fp32", model_cache)
        futures = [(predictor.submit(p[None]), fp32.submit(p[None])) for p in unseen]
        decisions = [(a.result()[0] >= THRESHOLD, b.result()[0] >= THRESHOLD) for a, b in futures]
        assert all(cascade == exact for cascade, exact in decisions)
        fp32.close()
    predictor.close()


def test_a_cascade_of_fakes() -> None:
    patches = colour_patches(20, 16)

    def rough(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.round(red_share(batch), 1).astype(np.float32)

    stages = [
        Stage(FakePredictor(rough, batch_size=6, patch_px=16, precision="int8"), 1.0),
        Stage(FakePredictor(batch_size=2, patch_px=16), 0.0),
    ]
    check_predictor(
        CascadePredictor(stages, TUMOUR_OR_NORMAL, THRESHOLD), patches, red_share(patches), 0.05
    )


@pytest.mark.parametrize("precision", ["fp32", "auto"])
@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_several_classes(
    kinds_package: ModelPackage,
    model_cache: Path,
    runtime: RuntimeChoice,
    precision: PrecisionChoice,
) -> None:
    request = RuntimeRequest("cpu", precision, model_cache, runtime=runtime, threads=2)
    predictor = load_predictor(kinds_package, request, threshold=THRESHOLD)
    patches, expected = kinds_package.reference()
    largest = max(kinds_package.description.tolerance.values())
    check_predictor(predictor, patches, expected, largest, anywhere=False)
    classes = kinds_package.classes
    found, wanted = (
        classes.decide(one.T.reshape(4, 1, -1), THRESHOLD)
        for one in (predict_all(predictor, patches), expected)
    )
    assert np.array_equal(found, wanted), "a decision is not that of the reference"
    predictor.close()


def test_eight_orientations(kinds_package: ModelPackage, model_cache: Path) -> None:
    """The mean of the answers for each, the decision of fp32's mean, and the spread."""
    patches = kinds_package.reference()[0][:10]
    asked = RuntimeRequest("cpu", "fp32", model_cache, threads=2)
    once = load_predictor(kinds_package, asked, threshold=THRESHOLD)
    each = np.stack([predict_all(once, oriented(patches, k)) for k in range(ORIENTATIONS)])
    once.close()
    mean = each.mean(axis=0)
    likely = mean.argmax(axis=1)
    spread = each[:, np.arange(len(patches)), likely].std(axis=0)
    exact = load_predictor(kinds_package, replace(asked, tta=True), threshold=THRESHOLD)
    check_predictor(exact, patches, np.column_stack([mean, spread]), 1e-4, anywhere=False)
    exact.close()
    fast = replace(asked, tta=True, precision="auto")
    cascade = load_predictor(kinds_package, fast, threshold=THRESHOLD)
    found = predict_all(cascade, patches)
    assert found.shape == (len(patches), mean.shape[1] + 1)
    assert np.array_equal(found[:, :-1].argmax(axis=1), likely)
    cascade.close()


def features_of(package: ModelPackage) -> NDArray[np.float32]:
    """As torch gives them in fp32, one patch at a time."""
    classifier = load_classifier(package)
    return np.concatenate(
        [pooled(classifier, as_pixels(one[None])).numpy() for one in package.reference()[0]]
    )


@pytest.mark.parametrize(
    ("runtime", "precision"), [("openvino", "fp32"), ("openvino", "auto"), ("torch", "fp32")]
)
def test_features(
    kinds_package: ModelPackage,
    model_cache: Path,
    runtime: RuntimeChoice,
    precision: PrecisionChoice,
) -> None:
    asked = RuntimeRequest("cpu", precision, model_cache, runtime, threads=2, head="features")
    predictor = load_predictor(kinds_package, asked, threshold=THRESHOLD)
    expected, patches = features_of(kinds_package), kinds_package.reference()[0]
    assert predictor.feature_count == expected.shape[1] == 64
    (allowed,) = (x for name, x in FEATURE_TOLERANCE.items() if name == predictor.info.precision)
    assert 1 - least_cosine(predict_all(predictor, patches), expected) <= allowed
    largest = float(np.abs(predict_all(predictor, patches) - expected).max())
    check_predictor(predictor, patches, expected, largest, anywhere=False)
    predictor.close()


def test_classes_and_features(kinds_package: ModelPackage, model_cache: Path) -> None:
    """The classes are those of the model without features, decisions included."""
    patches, expected = kinds_package.reference()
    asked = RuntimeRequest("cpu", "auto", model_cache, threads=2)
    plain = load_predictor(kinds_package, asked, threshold=THRESHOLD)
    both = load_predictor(kinds_package, replace(asked, head="both"), threshold=THRESHOLD)
    assert (plain.feature_count, both.feature_count) == (0, 64)
    assert both.info.kind == plain.info.kind
    answers, alone = predict_all(both, patches), predict_all(plain, patches)
    assert answers.shape == (len(patches), 4 + 64)
    largest = max(kinds_package.description.tolerance.values())
    assert np.abs(answers[:, :4] - expected).max() <= largest
    assert np.array_equal(answers[:, :4].argmax(axis=1), alone.argmax(axis=1))
    assert least_cosine(answers[:, 4:], features_of(kinds_package)) >= 0.99
    plain.close()
    both.close()


@pytest.mark.parametrize("kind", ["graph", "onnx"])
def test_features_of_a_network_that_is_no_torch_module(
    kinds_package: ModelPackage, model_cache: Path, tmp_path: Path, kind: str
) -> None:
    given = as_graph(kinds_package, tmp_path, kind)
    expected, patches = features_of(kinds_package), kinds_package.reference()[0]
    asked = RuntimeRequest("cpu", "fp32", model_cache, threads=2, head="both")
    for head in ("features", "both"):
        predictor = load_predictor(given, replace(asked, head=head), threshold=THRESHOLD)
        answers = predict_all(predictor, patches)
        assert answers.shape == (len(patches), 64 + (0 if head == "features" else 4))
        assert np.allclose(answers[:, -64:], expected, atol=1e-4)
        predictor.close()


def as_graph(package: ModelPackage, folder: Path, kind: str) -> ModelPackage:
    """The same model as an OpenVINO graph or an ONNX file."""
    network, side = load_classifier(package).network, package.description.input_px
    example = torch.zeros(1, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "graph":
            ov.save_model(
                ov.convert_model(network, example_input=example),
                folder / "network.xml",
                compress_to_fp16=False,
            )
        else:
            torch.onnx.export(network, (example,), folder / "network.onnx", dynamo=False)
    shutil.copy(package.folder / "reference.npz", folder)
    fields = package.description.model_dump(mode="json", exclude={"files"})
    return write_description(folder, {**fields, "architecture": {"name": kind}})


def test_a_map_has_no_features(tmp_path: Path) -> None:
    package = make_map_package(tmp_path)
    asked = RuntimeRequest("cpu", "fp32", tmp_path, head="features")
    with pytest.raises(UsageError, match="answers with maps"):
        load_predictor(package, asked, threshold=THRESHOLD)


def test_a_cascade_keeps_the_features_of_its_first_stage() -> None:
    patches = colour_patches(20, 16)

    def answering(digits: int, feature: float) -> Callable[..., NDArray[np.float32]]:
        def answer(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            share = np.round(red_share(batch), digits)
            return np.stack([share, np.full(len(batch), feature)], axis=1).astype(np.float32)

        return answer

    stages = [
        Stage(FakePredictor(answering(1, 7), patch_px=16, features=1, precision="int8"), 1.0),
        Stage(FakePredictor(answering(6, 9), patch_px=16, features=1, batch_size=2), 0.0),
    ]
    cascade = CascadePredictor(stages, TUMOUR_OR_NORMAL, THRESHOLD)
    answers = predict_all(cascade, patches)
    assert cascade.feature_count == 1
    assert cascade.asked_again[0] > 0
    assert (answers[:, 1] == 7).all()
    near = np.abs(red_share(patches) - THRESHOLD) < 0.1
    assert np.allclose(answers[near, 0], red_share(patches)[near], atol=1e-6)


def test_the_fake() -> None:
    patches = colour_patches(20, 16)
    check_predictor(FakePredictor(patch_px=16, batch_size=6), patches, red_share(patches), 0)


def test_the_suite_notices_a_batch_that_colours_its_patches() -> None:
    def of_the_batch(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        shares = red_share(batch)
        return np.asarray((shares + shares.mean()) / 2, np.float32)

    patches = colour_patches(20, 16)
    fake = FakePredictor(of_the_batch, patch_px=16, batch_size=6)
    with pytest.raises(AssertionError, match="differs from in a batch"):
        check_predictor(fake, patches, red_share(patches), 1)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_torch_on_a_gpu(package: ModelPackage, precision: Precision) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    patches, expected = package.reference()
    predictor = TorchCudaPredictor(package, precision, "cuda:0", batch_size=16)
    allowed = package.description.tolerance[precision]
    check_predictor(predictor, patches, expected, allowed, anywhere=False)
    predictor.close()
    wanted = features_of(package)
    for head in ("features", "both"):
        predictor = TorchCudaPredictor(package, precision, "cuda:0", batch_size=16, head=head)
        answers = predict_all(predictor, patches)[:, -predictor.feature_count :]
        assert least_cosine(answers, wanted) >= 1 - FEATURE_TOLERANCE[precision]
        predictor.close()


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
def test_the_weights_of_a_gpu_stay_where_they_are(
    package: ModelPackage, precision: PrecisionChoice, tmp_path: Path
) -> None:
    """Also of the first stage of a cascade, while the second is loaded."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    request = RuntimeRequest("cuda:0", precision, tmp_path, "torch")
    threshold = package.description.threshold.value
    patches, expected = package.reference()
    predictor = load_predictor(package, request, threshold=threshold)
    torch.cuda.empty_cache()
    # What was given back would now be overwritten.
    others = [torch.full((2**26,), torch.nan, device="cuda:0") for _ in range(8)]
    found = predict_all(predictor, patches)
    assert np.abs(found - expected).max() <= max(package.description.tolerance.values())
    del others
    predictor.close()
