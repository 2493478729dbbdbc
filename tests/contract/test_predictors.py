"""Every runtime keeps one contract, whatever the batch a patch happens to share."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import PrecisionChoice, RuntimeChoice
from wsi_pipeline.classes import TUMOUR_OR_NORMAL
from wsi_pipeline.model.cascade import CascadePredictor, Stage
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.openvino_runtime import OpenVinoPredictor, cpu_precisions
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest, load_predictor
from wsi_pipeline.model.torch_runtime import TorchCpuPredictor, TorchCudaPredictor
from wsi_pipeline.testing import FakePredictor, check_predictor, red_share
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
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    patches, expected = package.reference()
    predictor = TorchCudaPredictor(package, precision, "cuda:0", batch_size=16)
    check_predictor(predictor, patches, expected, package.description.tolerance[precision])
    predictor.close()
