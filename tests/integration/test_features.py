"""An encoder's features of a slide: those of a plain loop, resumed, verified, read by others."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import anndata
import h5py
import numpy as np
import openslide
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from timm.layers.mlp import SwiGLUPacked
from typer.testing import CliRunner

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cli import app
from wsi_pipeline.errors import PackageError, StoppedError, UsageError
from wsi_pipeline.export.formats import FORMATS
from wsi_pipeline.export.options import ExportOptions
from wsi_pipeline.model import memory
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.reference_check import least_cosine
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import regions
from wsi_pipeline.run.observer import SilentObserver
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import Scheduler, connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.encoders import ENCODER_PX, FEATURES, make_encoder_package

MPP = 0.5


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return make_encoder_package(tmp_path_factory.mktemp("encoder") / "package")


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tissue of all colours, so that no two tiles are alike, and glass at the right."""
    rng = np.random.default_rng(8)
    image = np.full((ENCODER_PX * 5, ENCODER_PX * 8, 3), 245, np.uint8)
    colours = rng.integers(30, 200, (5, 6, 3)).repeat(ENCODER_PX, 0).repeat(ENCODER_PX, 1)
    noisy = colours + rng.integers(-25, 25, colours.shape)
    image[:, : 6 * ENCODER_PX] = noisy.clip(0, 200)
    path = tmp_path_factory.mktemp("slides") / "s.tiff"
    write_pyramid(path, image)
    return path


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Scheduler]:
    with connect(None, 1) as found:
        yield found


def work(package: ModelPackage, scheduler: Scheduler, cache: Path, **settings: object) -> Work:
    said = {"features": "float32", "precision": "fp32", **settings}
    analysis = AnalysisSettings.model_validate(said)
    return Work(
        package,
        analysis,
        RuntimeRequest("cpu", analysis.precision, cache, runtime=analysis.runtime, threads=2),
        scheduler,
    )


def compute(slide: Path, out: Path, asked: Work) -> Result:
    return analyse_slide(prepare(slide, asked.package, asked.analysis), out / "s.zarr", asked)


def plain_loop(
    slide: Path, package: ModelPackage, corners: NDArray[np.int64]
) -> NDArray[np.float32]:
    """As users of timm write it, with nothing of this project."""
    network = timm.create_model(
        "vit_tiny_patch16_224",
        num_classes=0,
        img_size=ENCODER_PX,
        depth=2,
        mlp_ratio=5.33334,
        init_values=1e-5,
        reg_tokens=4,
        no_embed_class=True,
        mlp_layer=SwiGLUPacked,
        act_layer=torch.nn.SiLU,
    ).eval()
    network.load_state_dict(load_file(package.weights))
    opened, rows = openslide.OpenSlide(slide), []
    for x, y in corners.tolist():
        tile = opened.read_region((x, y), 0, (ENCODER_PX, ENCODER_PX)).convert("RGB")
        pixels = torch.from_numpy(np.array(tile)).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            rows.append(network((pixels - 0.5) / 0.5).numpy())
    return np.concatenate(rows)


def test_features_are_those_of_a_plain_loop(
    encoder: ModelPackage, slide: Path, scheduler: Scheduler, model_cache: Path, tmp_path: Path
) -> None:
    result = compute(slide, tmp_path, work(encoder, scheduler, model_cache))
    verify(result.path)
    table = result.tile_table()
    assert "probability" not in table
    corners = np.stack([table["x"], table["y"]], axis=1)
    assert len(corners) == 30
    values = np.asarray(result.features()[...])
    expected = plain_loop(slide, encoder, corners)
    assert values.shape == (30, FEATURES)
    assert least_cosine(values, expected) >= 0.9999
    # The loop tells tiles apart, so the rows stand in the order of the tiles.
    assert least_cosine(np.roll(values, 1, axis=0), expected) < 0.9999
    record = result.record
    assert (record.classes.members, record.slide_score, record.controls) == ((), None, None)
    assert result.features().dtype == np.float32
    assert np.count_nonzero(result.coverage == 1) == 30
    half = compute(
        slide, tmp_path / "half", work(encoder, scheduler, model_cache, features="float16")
    )
    assert half.features().dtype == np.float16
    assert np.array_equal(half.features()[...], values.astype(np.float16))
    assert half.record.fingerprint != record.fingerprint


class Stopping(SilentObserver):
    """Gives up after some regions."""

    def __init__(self, regions: int) -> None:
        self._left = regions

    def advanced(self, tiles: int, bytes_read: int) -> None:
        del tiles, bytes_read
        self._left -= 1
        if not self._left:
            raise StoppedError("enough")


def test_a_stopped_run_goes_on_to_the_same_bits(
    encoder: ModelPackage,
    slide: Path,
    scheduler: Scheduler,
    model_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions, "REGION_TILES", 8)
    asked = work(encoder, scheduler, model_cache, precision="auto", features="float16")
    whole = compute(slide, tmp_path / "whole", asked)
    prepared = prepare(slide, encoder, asked.analysis)
    final = tmp_path / "stopped" / "s.zarr"
    with pytest.raises(StoppedError):
        analyse_slide(prepared, final, asked, observer=Stopping(2))
    assert not final.exists()
    resumed = compute(slide, tmp_path / "stopped", asked)
    assert resumed.record.timings.resumed_tiles == 16
    assert resumed.seal.arrays == whole.seal.arrays


def test_a_classifier_gives_its_classes_too(
    kinds_package: ModelPackage,
    slide: Path,
    scheduler: Scheduler,
    model_cache: Path,
    tmp_path: Path,
) -> None:
    asked = work(kinds_package, scheduler, model_cache)
    both = compute(slide, tmp_path / "both", asked)
    alone = dataclasses.replace(asked, analysis=AnalysisSettings(precision="fp32"))
    classes = compute(slide, tmp_path / "classes", alone)
    values = both.features()
    assert values.shape == (both.tiles, 64)
    assert np.ptp(np.asarray(values[...]), axis=0).max() > 0
    for one, other in zip(both.tile_table().values(), classes.tile_table().values(), strict=True):
        assert np.allclose(one, other, atol=1e-5)
    with pytest.raises(UsageError, match="holds no features"):
        FORMATS["h5"].write(classes, tmp_path / "x.h5", ExportOptions())


def test_the_verb_writes_what_others_read(
    encoder: ModelPackage,
    slide: Path,
    model_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WSI_CACHE_DIR", str(model_cache))
    command = ["features", str(slide), "-o", str(tmp_path), "--encoder", str(encoder.folder)]
    done = CliRunner().invoke(app, [*command, "--h5", "--h5ad", "--stride", "32", "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["slides"][0]["status"] == "done"
    result = verify(tmp_path / "s.zarr")
    stored = np.asarray(result.features()[...]).astype(np.float32)
    table = result.tile_table()
    with h5py.File(tmp_path / "s.h5") as file:
        assert np.array_equal(file["features"][...], stored)
        coords = file["coords"]
        assert coords.dtype == np.int64
        assert np.array_equal(coords[...], np.stack([table["x"], table["y"]], axis=1))
        said = dict(coords.attrs)
    assert {key: said[key] for key in said if not key.startswith("level0_")} == {
        "patch_size": 64,
        "patch_size_level0": 64,
        "target_magnification": 20,
        "overlap": 32,
        "name": "s",
        "savetodir": ".",
    }
    assert (said["level0_magnification"], said["level0_width"]) == (20, 8 * ENCODER_PX)
    annotated = anndata.read_h5ad(tmp_path / "s.h5ad")
    assert np.array_equal(annotated.X, stored)
    assert np.array_equal(annotated.obsm["spatial"][:, 0], table["x"] + 32)
    assert np.allclose(annotated.obs["tissue"], table["tissue"])
    assert annotated.uns["spatial"]["s"]["scalefactors"]["spot_diameter_fullres"] == 64
    assert summary["slides"][0]["files"] == "s.h5 written, s.h5ad written"
    kept = {name: (tmp_path / name).stat() for name in ("s.h5", "s.h5ad")}
    (tmp_path / "s.h5ad").unlink()
    again = CliRunner().invoke(app, [*command, "--h5", "--h5ad", "--stride", "32", "--json"])
    (row,) = json.loads(again.stdout)["slides"]
    assert (row["status"], row["files"]) == ("skipped", "s.h5 is up to date, s.h5ad written")
    assert "a valid result exists; s.h5 is up to date, s.h5ad written" in again.stderr
    assert (tmp_path / "s.h5").stat() == kept["s.h5"]
    assert (tmp_path / "s.h5ad").exists()
    with pytest.raises(UsageError, match=r"no classes, .* as csv; choose h5 or h5ad or zip"):
        FORMATS["csv"].write(result, tmp_path / "x.csv", ExportOptions())


def test_an_encoder_has_no_classes(encoder: ModelPackage, tmp_path: Path) -> None:
    for head in ("classes", "both"):
        asked = RuntimeRequest("cpu", "fp32", tmp_path, head=head)
        with pytest.raises(UsageError, match="use `wsi features`"):
            load_predictor(encoder, asked, threshold=0.5)


def test_what_does_not_fit_is_refused_with_the_figure(
    encoder: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_free_ram", lambda: 5_000_000)
    asked = RuntimeRequest("cpu", "fp32", tmp_path, head="features")
    with pytest.raises(PackageError, match=r"needs about 0\.0 GiB .* weights, and 0\.0 GiB are"):
        load_predictor(load_package(encoder.folder), asked, threshold=0.5)
    assert not list(tmp_path.iterdir()), "it was loaded"
