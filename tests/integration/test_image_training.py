"""Recipes for single images, from their files to packages that every runtime answers alike."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.cli.training_report import print_report
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.images.conformal import conformal_of
from wsi_pipeline.images.seen import Seen, seen_of
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.conversion import convert_here
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.training.command import train_images
from wsi_pipeline.training.recipe import load_recipe
from wsi_pipeline.training.request import Order
from wsi_pipeline.training.run import Silence

BLOOD = Path(__file__).parents[3] / "shared" / "data" / "blood"
pytestmark = pytest.mark.skipif(not BLOOD.is_dir(), reason="the real blood cells are not there")
CLASSES = {"Neutrophil": 32, "Eosinophil": 30, "Lymphocyte": 30, "Basophil": 3}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some cells of two laboratories, of four classes; the second one lacks two of them."""
    rows = ["path,label,source"]
    for name, count in CLASSES.items():
        paths = sorted((BLOOD / "bccd" / name).iterdir())[:count]
        rows += [f"{path},{name},bccd" for path in paths]
    labels = (BLOOD / "wbc" / "labels.csv").read_text().splitlines()[1:40]
    names = {"1": "Neutrophil", "2": "Lymphocyte"}
    for number, label in (row.split(",") for row in labels):
        if label in names:
            rows.append(f"{BLOOD}/wbc/{int(number):03d}.bmp,{names[label]},wbc")
    path = tmp_path_factory.mktemp("cells") / "cells.csv"
    path.write_text("\n".join(rows))
    return path


def trained(table: Path, out: Path, recipe: str, *changes: str) -> tuple[dict, ModelPackage]:  # type: ignore[type-arg]  # JSON
    order = Order(
        recipe=load_recipe(recipe, changes),
        out=out,
        name="cells",
        version="1",
        licence="none",
        seed=1,
        folds=0,
        search=(),
        skip_bad=False,
        threads=1,
        device="cpu",
    )
    report = train_images(table, order, Silence(), test_source="wbc")
    return report, load_package(out)


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("blood-cells-two-stage", ("epochs=2", "patch_px=64")),
        (
            "blood-cells-vgg16-svm",
            ("init=random", "patch_px=48", "images.background=cut", "head.reduce=pca"),
        ),
        ("baseline-forest", ("patch_px=48", "head.trees=50")),
        ("baseline-neighbours", ("patch_px=48",)),
    ],
)
def test_a_recipe_runs_and_all_runtimes_agree(
    table: Path,
    tmp_path: Path,
    model_cache: Path,
    recipe: str,
    changes: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    report, package = trained(table, tmp_path / "model", recipe, *changes)
    names = tuple(sorted(CLASSES))
    assert package.classes.names == names
    assert package.classes.task == "multiclass"
    assert report["positive"] == package.classes.positive == "Basophil"
    # A laboratory that lacks two classes still has all of them in its matrix.
    external = report["external"]
    assert external["confusion"]["labels"] == list(names)
    assert sum(external["confusion"]["counts"][names.index("Eosinophil")]) == 0
    assert external["classes"][names.index("Eosinophil")]["recall"]["value"] is None
    for part in ("test", "external"):
        assert report[part]["baseline"]["accuracy"] > 0
        assert report[part]["accuracy"]["low"] <= report[part]["accuracy"]["value"]
    print_report(report)
    printed = capsys.readouterr().out
    assert "positive class: Basophil" in printed
    assert "external (wbc): " in printed
    page = (tmp_path / "model.train.html").read_text()
    for said in ("positive class: Basophil", "wbc (never trained on)", "always "):
        assert said in page
    conformal = conformal_of(package)
    assert conformal is not None
    assert len(conformal.scores) == report["conformal"]["images"]
    parts = report["data"]["parts"]
    files = [
        hashlib.sha256(one.path.read_bytes()).hexdigest() for one in read_collection(table).images
    ]
    seen = seen_of(package, files)
    assert seen == Seen(parts["train"]["images"], parts["validation"]["images"])
    patches, expected = package.reference()
    convert_here(package, model_cache)
    allowed = package.description.tolerance["fp32"]
    for runtime in ("torch", "openvino"):
        request = RuntimeRequest("cpu", "fp32", model_cache, runtime=runtime, threads=1)
        predictor = load_predictor(package, request, threshold=0.5)
        together = predict_all(predictor, patches)
        alone = np.concatenate([predict_all(predictor, patches[i : i + 1]) for i in range(4)])
        predictor.close()
        assert np.abs(together - expected).max() <= allowed
        # An image is answered alike alone and in a batch.
        assert np.abs(alone - together[:4]).max() < 1e-5
