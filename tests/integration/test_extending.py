"""docs/extending.md by example: a network, a recipe, a runtime and an export format are added."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cli import app
from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.export.formats import FORMATS, ExportFormat
from wsi_pipeline.export.options import ExportOptions
from wsi_pipeline.model import network, runtime
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.architecture import Architecture
from wsi_pipeline.model.description import Precision
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.predictor import Predictor, predict_all
from wsi_pipeline.model.runtime import Runtime, RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import FakePredictor, check_predictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.training.command import train_images
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.request import Order
from wsi_pipeline.training.run import Silence

PATCH = 32

RECIPE = f"""\
name: mean-colour
about: One convolution, which sees colours.
method: gradient
architecture: {{name: mean-colour, pooling: average, dropout: 0}}
init: random
patch_px: {PATCH}
levels: [0]
labels: {{rule: any, central_px: {PATCH}}}
sampling: {{mode: balanced, patches: 64, stride: {PATCH}, validation_patches: 40}}
augmentation: {{brightness: 0, saturation: 0, hue: 0, contrast: 0, stain: 0}}
optimiser: {{name: adam, learning_rate: 0.01}}
epochs: 2
batch: 8
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    rng = np.random.default_rng(0)
    for name, colour in (("normal", NORMAL_COLOUR), ("tumour", TUMOUR_COLOUR)):
        (folder / name).mkdir(parents=True)
        for number in range(45):
            noisy = np.array(colour) + rng.normal(0, 20, (PATCH, PATCH, 3))
            picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
            picture.save(folder / name / f"{number}.png")
    return folder


class _MeanColour(nn.Module):
    """One convolution, the mean over the patch, one unit."""

    def __init__(self, architecture: Architecture, units: int) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 8, 1)
        self.dropout = nn.Dropout(architecture.dropout)
        self.fc = nn.Linear(8, units)

    def forward(self, patches: Tensor) -> Tensor:
        pooled = self.colours(patches).relu().mean((2, 3))
        output: Tensor = self.fc(self.dropout(pooled))
        return output


def test_a_network_and_a_recipe(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(network.BUILDERS, "mean-colour", _MeanColour)
    recipe = tmp_path / "mean-colour.yaml"
    recipe.write_text(RECIPE)
    order = Order(
        recipe=load_recipe(str(recipe)),
        out=tmp_path / "model",
        name="mean-colour",
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
    trained = load_package(tmp_path / "model")
    assert trained.description.architecture.name == "mean-colour"
    request = RuntimeRequest("cpu", "fp32", tmp_path / "cache", runtime="torch", threads=1)
    predictor = load_predictor(trained, request, threshold=0.5)
    patches, expected = trained.reference()
    assert np.allclose(predict_all(predictor, patches), expected, atol=1e-5)
    predictor.close()


def test_a_network_nobody_has() -> None:
    with pytest.raises(PackageError, match="did you mean resnet50"):
        network.build_network(Architecture(name="resnett50"), 1, 224)


def _load_red_share(
    model: ModelPackage, _: RuntimeRequest, __: str, precision: Precision, batch: int | None
) -> Predictor:
    side = model.description.patch_px
    return FakePredictor(batch_size=batch or 8, patch_px=side, precision=precision)


@pytest.fixture
def red_share(monkeypatch: pytest.MonkeyPatch) -> None:
    added = Runtime("red-share", "cpu", lambda: (), _load_red_share)
    monkeypatch.setattr(runtime, "RUNTIMES", [*runtime.RUNTIMES, added])


def _request(cache: Path) -> RuntimeRequest:
    return RuntimeRequest("cpu", "auto", cache, runtime="red-share")  # type: ignore[arg-type]  # the name is the test's


@pytest.mark.usefixtures("red_share")
def test_a_runtime(stub_package: ModelPackage, tmp_path: Path) -> None:
    predictor = load_predictor(stub_package, _request(tmp_path), threshold=0.5)
    patches, expected = stub_package.reference()
    check_predictor(predictor, patches, expected, 1e-6)
    predictor.close()
    with pytest.raises(UsageError, match="red-share runs on cpu, not on cuda:0"):
        runtime.choose_runtime("red-share", "cuda:0")


def _write_score(result: Result, path: Path, options: ExportOptions) -> None:
    del options
    path.write_text(f"{result.attributes['slide_score']:.3f}\n")


@pytest.mark.usefixtures("red_share")
def test_an_export_format(
    stub_package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = ExportFormat("score", ".score.txt", "the slide score as text", _write_score)
    monkeypatch.setitem(FORMATS, "score", added)
    slide = np.full((256, 256, 3), NORMAL_COLOUR, np.uint8)
    slide[:, :64] = TUMOUR_COLOUR
    write_pyramid(tmp_path / "slide.tiff", slide)
    with connect(None, 1) as scheduler:
        work = Work(stub_package, AnalysisSettings(), _request(tmp_path / "cache"), scheduler)
        prepared = prepare(tmp_path / "slide.tiff", stub_package, work.analysis)
        result = analyse_slide(prepared, tmp_path / "slide.zarr", work)
    assert result.attributes["runtime"]["runtime"] == "fake 1"
    done = CliRunner().invoke(app, ["export", str(result.path), "score"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "slide.score.txt").read_text() == "1.000\n"
