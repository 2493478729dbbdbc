"""``wsi classify`` with a real small model: a table, figures, resuming, and bad input."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from wsi_pipeline.cli import app, classify_images
from wsi_pipeline.errors import PackageError, ResultError
from wsi_pipeline.images import embedding
from wsi_pipeline.images.classification import check_layers, classify
from wsi_pipeline.images.collection import read_collection
from wsi_pipeline.images.conformal import scores_of, write_conformal
from wsi_pipeline.images.data_map import project
from wsi_pipeline.images.run import ImageSettings, run_images
from wsi_pipeline.images.seen import write_seen
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.linear_probe import as_pixels, pooled
from wsi_pipeline.model.loaded import LOADED
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.orientations import ORIENTATIONS, oriented
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.pinning import write_description
from wsi_pipeline.model.predictor import predict_all
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.stain.fit import fit_stain
from wsi_pipeline.stain.normalisation import StainTarget
from wsi_pipeline.synth import CLASSES, labelled_patches
from wsi_pipeline.testing.kinds import KINDS_MPP, KINDS_PATCH_PX

PER_CLASS = 8


Drawn = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Patches of another slide than the model was fitted on, twice as many as are classified."""
    return labelled_patches(
        2 * PER_CLASS, seed=9, patch_px=KINDS_PATCH_PX, mpp=KINDS_MPP, slide_px=4096
    )


@pytest.fixture(scope="module")
def model(
    kinds_package: ModelPackage, drawn: Drawn, tmp_path_factory: pytest.TempPathFactory
) -> ModelPackage:
    """The small model with prediction sets, as a training leaves them."""
    folder = tmp_path_factory.mktemp("models") / "kinds"
    shutil.copytree(kinds_package.folder, folder)
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    facts["images"] = {"how": "stretch"}
    predictor = load_predictor(kinds_package, torch_on(folder.parent), threshold=0.5)
    answers = predict_all(predictor, drawn[0][1::2])
    predictor.close()
    write_conformal(folder, scores_of(answers, drawn[1][1::2]))
    return write_description(folder, facts)


def torch_on(cache: Path) -> RuntimeRequest:
    return RuntimeRequest("cpu", "fp32", cache, runtime="torch")


@pytest.fixture(scope="module")
def source(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class."""
    folder = tmp_path_factory.mktemp("images")
    for index, (patch, label) in enumerate(zip(drawn[0][::2], drawn[1][::2], strict=True)):
        place = folder / CLASSES[label]
        place.mkdir(exist_ok=True)
        Image.fromarray(patch).save(place / f"{index:02d}.png")
    return folder


@pytest.fixture
def images(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "images"))


@pytest.fixture(scope="module", autouse=True)
def _let_go() -> Iterator[None]:
    yield
    for predictor in LOADED._predictors.values():
        predictor.close()
    LOADED._predictors.clear()


def wsi(images: Path, out: Path, model: ModelPackage, *more: str) -> Result:
    given = ["classify", str(images), "-o", str(out), "--model", str(model.folder)]
    return CliRunner().invoke(app, [*given, "--runtime", "torch", "--device", "cpu", *more])


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(out / "images.parquet").to_pylist()
    return {Path(row["image"]).name: row for row in rows}


def test_a_folder_per_class_becomes_a_table_with_figures(
    images: Path, tmp_path: Path, model: ModelPackage
) -> None:
    (images / "normal" / "text.bmp").write_text("no image")
    frames = [Image.new("L", (8, 8), grey) for grey in (0, 200)]
    frames[0].save(images / "normal" / "moving.gif", save_all=True, append_images=frames[1:])
    done = wsi(images, tmp_path / "out", model, "--json", "--quiet")
    assert done.exit_code == 3
    assert "text.bmp: is no PNG" in done.stderr
    assert "moving.gif: is no PNG" in done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["done"], len(summary["failed"])) == (4 * PER_CLASS, 2)
    rows = rows_of(tmp_path / "out")
    assert {rows.pop(name)["state"] for name in ("text.bmp", "moving.gif")} == {"failed"}
    right = [row["predicted"] == [row["label"]] for row in rows.values()]
    assert np.mean(right) >= 0.9
    for row in rows.values():
        assert row["review"] == (len(row["set"]) != 1)
    assert summary["review"] == sum(bool(row["review"]) for row in rows.values())
    whole = summary["evaluation"]["all"]
    assert whole["images"] == 4 * PER_CLASS
    assert whole["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert whole["baseline"]["accuracy"] == 0.25
    assert whole["confusion"]["labels"] == list(CLASSES)
    assert not (tmp_path / "out" / ".unfinished").exists()


def test_a_killed_run_goes_on_where_it_was(
    images: Path, tmp_path: Path, model: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert wsi(images, whole, model).exit_code == 0
    collection, seen = read_collection(images), []

    class Observer(classify_images.ImagesDisplay):
        def advanced(self, parts: int) -> None:
            seen.append(parts)
            if len(seen) == 13:
                raise KeyboardInterrupt

    request, settings = torch_on(tmp_path), ImageSettings()
    with pytest.raises(KeyboardInterrupt):
        run_images(collection, out, model, request, settings, Observer(quiet=True))
    predictor = LOADED.predictor(model.folder.resolve(), model.sha256, request, 0.5)
    sent: list[int] = []
    submit = predictor.submit

    def counted(squares: np.ndarray) -> object:
        sent.append(len(squares))
        return submit(squares)

    monkeypatch.setattr(predictor, "submit", counted)
    summary = run_images(collection, out, model, request, settings, Observer(quiet=True))
    assert summary["reused"] == 12
    assert sum(sent) == 4 * PER_CLASS - 12
    assert (out / "images.csv").read_bytes() == (whole / "images.csv").read_bytes()
    # Started again when all is done: nothing is computed.
    sent.clear()
    again = run_images(collection, out, model, request, settings, Observer(quiet=True))
    assert (again["reused"], sent) == (4 * PER_CLASS, [])


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_an_answer_does_not_depend_on_the_batch_it_shared(
    source: Path, kinds_package: ModelPackage, model_cache: Path, runtime: str
) -> None:
    model = kinds_package  # which other tests convert too
    request = RuntimeRequest("cpu", "fp32", model_cache, runtime=runtime)  # type: ignore[arg-type]  # of the list above
    predictor = load_predictor(model, request, threshold=0.5)
    images = list(read_collection(source).images)
    together = [one.answer for one in classify(images, predictor, model.description)]
    images.reverse()
    turned = [one.answer for one in classify(images[3:], predictor, model.description)]
    (alone,) = classify(images[7:8], predictor, model.description)
    predictor.close()
    assert turned == together[::-1][3:]
    assert alone.answer == together[::-1][7]


def test_labels_of_two_laboratories_and_some_that_the_model_does_not_know(
    images: Path, tmp_path: Path, model: ModelPackage
) -> None:
    lines = ["path,label,group,source"]
    for index, path in enumerate(sorted(images.rglob("*.png"))):
        here = path.parent.name in CLASSES[:3]
        label = "fat" if index < 2 else path.parent.name
        lines.append(f"{path},{label},p{index // 2},{'here' if here else 'there'}")
    lines.append("absent.png,normal,p1,here")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines))
    done = wsi(table, tmp_path / "out", model, "--json")
    assert done.exit_code == 3
    assert "there is no file absent.png" in done.stderr
    assert "labels that the model does not know, in no figure: fat (2)" in done.stderr
    evaluation = json.loads(done.stdout)["evaluation"]
    assert evaluation["unknown_labels"] == {"fat": 2}
    assert evaluation["all"]["images"] == 4 * PER_CLASS - 2
    assert evaluation["all"]["groups"] == 2 * PER_CLASS - 1
    assert evaluation["grouped"]
    assert set(evaluation["sources"]) == {"here", "there"}
    for one in evaluation["sources"].values():
        # No class is missing where a source lacks it.
        assert one["confusion"]["labels"] == [*CLASSES, "fat"]
    # The same folder, its labels beside it.
    other = wsi(images, tmp_path / "other", model, "--labels", str(table), "--json")
    assert json.loads(other.stdout)["evaluation"] == evaluation


def test_images_that_the_model_was_made_from_are_told(
    images: Path, tmp_path: Path, model: ModelPackage
) -> None:
    files = [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((images / "normal").iterdir())
    ]
    folder = Path(shutil.copytree(model.folder, tmp_path / "model"))
    write_seen(folder, files[:3], files[3:4])
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    out = tmp_path / "out"
    done = wsi(images, out, write_description(folder, facts), "--json")
    assert "3 that the model was trained on and 1 that its threshold" in done.stderr
    seen = json.loads(done.stdout)["seen"]
    assert (seen["train"], seen["validation"]) == (3, 1)
    assert "Among these images are 3 that" in (out / "report.html").read_text(encoding="utf-8")


def test_folders_named_otherwise_are_no_labels(
    images: Path, tmp_path: Path, model: ModelPackage
) -> None:
    for index, name in enumerate(CLASSES):
        (images / name).rename(images / f"batch {index}")
    done = wsi(images, tmp_path / "out", model, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["evaluation"] is None


def test_results_of_other_images_or_models_are_not_replaced_by_chance(
    images: Path, tmp_path: Path, model: ModelPackage, kinds_package: ModelPackage
) -> None:
    one, other = images / "normal", images / "mucin"
    assert wsi(one, tmp_path / "out", model).exit_code == 0
    for arguments, words in (
        ((other, tmp_path / "out", model), "is of 8 other images"),
        ((one, tmp_path / "out", kinds_package), "was made with kinds 1"),
    ):
        failed = wsi(*arguments)
        assert isinstance(failed.exception, ResultError)
        assert words in str(failed.exception)
        assert "--overwrite" in str(failed.exception)
    replaced = wsi(other, tmp_path / "out", kinds_package, "--overwrite", "--json")
    assert replaced.exit_code == 0
    assert json.loads(replaced.stdout)["reused"] == 0
    # Results may lie among images: what a run drew is none, and nothing else is deleted.
    drawn = tmp_path / "out" / "explanations"
    drawn.mkdir()
    own, earlier = drawn / "mine.png", drawn / f"00-{'a' * 12}.jpg"
    for path in (own, earlier):
        shutil.copy(one / "00.png", path)
    summary = wsi(tmp_path, tmp_path / "out", kinds_package, "--json", "--overwrite")
    assert json.loads(summary.stdout)["done"] == 4 * PER_CLASS
    assert (own.exists(), earlier.exists()) == (True, False)
    beside = wsi(one, one, kinds_package, "--json")
    assert json.loads(beside.stdout)["done"] == PER_CLASS


def test_every_answer_is_explained_once(
    images: Path, tmp_path: Path, model: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert wsi(images / "mucin", out, model).exit_code == 0
    (images / "mucin" / "bad.png").touch()
    done = wsi(images / "mucin", out, model, "--explain", "--json")
    assert done.exit_code == 3
    assert "Grad-CAM" in json.loads(done.stdout)["explained_by"]
    rows = rows_of(out)
    assert rows.pop("bad.png")["explanation"] is None
    for row in rows.values():
        picture = out / str(row["explanation"])
        with Image.open(picture) as drawn:
            assert drawn.size == (2 * KINDS_PATCH_PX + 8, KINDS_PATCH_PX)
    times = {path: path.stat().st_mtime_ns for path in (out / "explanations").iterdir()}
    assert len(times) == PER_CLASS
    gone = min(times)
    gone.unlink()
    assert wsi(images / "mucin", out, model, "--explain").exit_code == 3
    again = {path: path.stat().st_mtime_ns for path in (out / "explanations").iterdir()}
    assert {path for path in times if again[path] != times[path]} == {gone}


def test_features_are_kept_and_the_page_opens_every_image(
    images: Path, tmp_path: Path, model: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copy(images / "mucin" / min((images / "mucin").iterdir()).name, images / "normal")
    assert wsi(images, out, model, "--embed").exit_code == 0
    with np.load(out / "embeddings.npz") as data:
        kept = dict(zip(data["sha256"].tolist(), data["features"], strict=True))
        assert str(data["model"][0]) == model.sha256
    assert len(kept) == 4 * PER_CLASS
    # The features of an image are those it has alone, by the trunk that the package holds.
    classifier = load_classifier(model)
    for name, row in list(rows_of(out).items())[::9]:
        pixels = as_pixels(np.array(Image.open(row["image"]))[None])
        alone = pooled(classifier, pixels).numpy().ravel()
        np.testing.assert_allclose(kept[row["sha256"]], alone, rtol=1e-4, atol=1e-5, err_msg=name)
    page = (out / "report.html").read_text(encoding="utf-8")
    points = set(re.findall(r'href="#(image-\d+)"', page))
    assert len(points) == 4 * PER_CLASS + 1
    assert points == set(re.findall(r'id="(image-\d+)"', page))
    # One image in two classes is the most similar pair.
    assert "cosine similarity 1.0000" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert "<script" not in page
    # What is kept is not computed again.
    computed: list[int] = []
    monkeypatch.setattr(embedding, "pooled", lambda *_: computed.append(1))
    assert wsi(images, out, model, "--embed").exit_code == 0
    assert not computed


def test_two_kinds_of_images_lie_apart_and_the_map_is_the_same_again() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 60)).astype(np.float32)
    values[20:] += 3
    flat = project(values)
    assert flat.shape == (40, 2)
    assert flat.min() == 0
    assert flat.max() == 1
    own = np.linalg.norm(flat[:20] - flat[:20].mean(axis=0), axis=1).mean()
    apart = np.linalg.norm(flat[:20].mean(axis=0) - flat[20:].mean(axis=0))
    assert apart > 2 * own
    np.testing.assert_array_equal(project(values), flat)


def test_eight_orientations_of_normalised_images(
    images: Path, tmp_path: Path, model: ModelPackage
) -> None:
    """The table has the mean and the spread; what an image shows decides, not how it is stained."""
    folder = Path(shutil.copytree(model.folder, tmp_path / "stained"))
    facts = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    facts.pop("files")
    target = fit_stain("reinhard", model.reference()[0].reshape(-1, 3)).appearance
    assert target is not None
    stain = {"method": "reinhard", "target": asdict(target)}
    facts["preprocessing"] = {"stain": json.loads(json.dumps(stain))}
    package = write_description(folder, facts)
    Image.fromarray(np.full((64, 64, 3), 250, np.uint8)).save(images / "normal" / "blank.png")
    out = tmp_path / "out"
    assert wsi(images, out, package, "--tta").exit_code == 0
    rows = rows_of(out)
    blank = rows.pop("blank.png")
    assert any("was not normalised" in warning for warning in blank["warnings"])
    about = package.description
    recolour = StainTarget("reinhard", target)
    predictor = load_predictor(package, torch_on(tmp_path / "cache"), threshold=0.5)
    for name, row in list(rows.items())[::7]:
        pixels = np.asarray(Image.open(row["image"]))
        square = recolour.fitted(pixels.reshape(-1, 3)).recolouring()(pixels)
        answers = np.concatenate(
            [predict_all(predictor, oriented(square[None], k)) for k in range(ORIENTATIONS)]
        )
        found = [row[f"p_{one}"] for one in about.classification.names]
        np.testing.assert_allclose(found, answers.mean(axis=0), atol=1e-5, err_msg=name)
        spread = answers[:, answers.mean(axis=0).argmax()].std()
        assert row["spread"] == pytest.approx(spread, abs=1e-5)
        assert row["warnings"] == []
    predictor.close()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["spread"] > 0
    # Answers of one orientation are not mixed with those.
    assert "use another -o" in str(wsi(images, out, package).exception)
    again = wsi(images, out, package, "--tta", "--json")
    assert json.loads(again.stdout)["reused"] == len(rows) + 1
    assert rows_of(out)["blank.png"] == blank


def test_a_network_that_torch_cannot_build_is_not_explained(stub_package: ModelPackage) -> None:
    about = stub_package.description
    graph = about.model_copy(
        update={"architecture": about.architecture.model_copy(update={"name": "onnx"})}
    )
    package = replace(stub_package, description=graph)
    with pytest.raises(PackageError, match="holds its network as onnx"):
        check_layers(package, "--explain")


def test_a_model_has_to_be_named(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: ModelPackage
) -> None:
    monkeypatch.setenv("WSI_MODELS_DIR", str(tmp_path / "models"))
    shutil.copytree(model.folder, tmp_path / "models" / "my-kinds")
    failed = CliRunner().invoke(app, ["classify", str(images), "-o", str(tmp_path / "out")])
    assert "my-kinds" in str(failed.exception)
    assert "--model PACKAGE" in str(failed.exception)
    wrong = wsi(images, tmp_path / "out", model, "--coverage", "1")
    assert "--coverage 1" in str(wrong.exception)
    assert not (tmp_path / "out").exists()
