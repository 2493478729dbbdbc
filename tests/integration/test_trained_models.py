"""Every architecture that can be trained runs where packages run: in torch and in OpenVINO."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.training.command import train_images
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.request import Order
from wsi_pipeline.training.run import Silence

PATCH = 80


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, colour in (("normal", NORMAL_COLOUR), ("tumour", TUMOUR_COLOUR)):
        (folder / name).mkdir()
        for number in range(45):
            mixed = 0.6 * np.array(NORMAL_COLOUR) + 0.4 * np.array(colour)
            noisy = mixed + rng.normal(0, 25, (PATCH, PATCH, 3))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


def train(images: Path, out: Path, recipe: str, *changes: str) -> ModelPackage:
    order = Order(
        recipe=load_recipe(recipe, changes, levels=(0,), init="random"),
        out=out,
        name="model",
        version="1",
        licence="none",
        seed=1,
        folds=0,
        search=(),
        skip_bad=False,
        threads=1,
        device="cpu",
    )
    report = train_images(images, order, Silence(), positive=None, group_from=None, resize=False)
    assert report["test"]["macro"]["auc"]["value"] > 0.9
    return load_package(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("camelyon-baseline", ("epochs=2", "batch=6", "optimiser.learning_rate=0.003")),
        (
            "camelyon-vgg16",
            ("method=probe", "batch=6", "sampling.patches=60", "augmentation.contrast=0"),
        ),
        ("linear-probe", ("sampling.patches=60", "batch=6")),
    ],
)
def test_a_trained_package_runs_everywhere(
    images: Path, tmp_path: Path, model_cache: Path, recipe: str, changes: tuple[str, ...]
) -> None:
    package = train(images, tmp_path / "model", recipe, *changes)
    patches, expected = package.reference()
    threshold = package.description.threshold.value
    for runtime, precision in (("torch", "fp32"), ("openvino", "fp32"), ("openvino", "auto")):
        request = RuntimeRequest("cpu", precision, model_cache, runtime=runtime, threads=1)  # type: ignore[arg-type]  # mypy widens the pairs
        predictor = load_predictor(package, request, threshold=threshold)
        found = predict_all(predictor, patches)
        predictor.close()
        assert np.array_equal(found >= threshold, expected >= threshold)
        if precision == "fp32":
            assert np.abs(found - expected).max() < 1e-3
