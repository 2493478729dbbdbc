"""A package with networks behind its features: tiles, features, the slide's answer, attention."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from networks_support import with_networks
from typer.testing import CliRunner

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.cli import app
from wsi_pipeline.errors import PackageError, StoppedError, UsageError
from wsi_pipeline.export.cell_tiles import NOT_CLASSIFIED, STEPS, encode_tile
from wsi_pipeline.export.decision import decide
from wsi_pipeline.export.heatmap import write_heatmap
from wsi_pipeline.geometry import Size
from wsi_pipeline.model import loaded
from wsi_pipeline.model.admission import load_predictor
from wsi_pipeline.model.linear_probe import as_pixels, pooled
from wsi_pipeline.model.network import load_classifier
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.predictor import Predictor
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import regions
from wsi_pipeline.run.observer import SilentObserver
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.scheduler import connect
from wsi_pipeline.run.work import Work
from wsi_pipeline.slide_level.attention.answer import ranked
from wsi_pipeline.slide_level.attention.forward import forward
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.synth import SynthSpec, write_slide
from wsi_pipeline.tiles.patches import read_input


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slides") / "slide.tiff"
    write_slide(SynthSpec(size=Size(2048, 1536), seed=3, tissue=0.6), path)
    return path


def work_of(package: ModelPackage, cache: Path, scheduler: object) -> Work:
    request = RuntimeRequest("cpu", "fp32", cache, threads=2)
    return Work(package, AnalysisSettings(), request, scheduler)  # type: ignore[arg-type]  # a scheduler


def test_a_result_has_the_slide_s_answer_and_where_the_networks_look(
    kinds_package: ModelPackage, model_cache: Path, slide: Path, tmp_path: Path
) -> None:
    package, heads = with_networks(kinds_package, tmp_path / "package")
    with connect(None, 2) as scheduler:
        work = work_of(package, model_cache, scheduler)
        prepared = prepare(slide, package, work.analysis)
        result = analyse_slide(prepared, tmp_path / "slide.zarr", work)
        plain = analyse_slide(
            prepare(slide, kinds_package, work.analysis),
            tmp_path / "plain.zarr",
            work_of(kinds_package, model_cache, scheduler),
        )
    classifier, plan = load_classifier(package), prepared.plan
    tiles = np.stack(
        [read_input(prepared.reader, plan.grid, int(x), int(y)) for x, y in plan.cells]
    )
    features = pooled(classifier, as_pixels(tiles)).numpy().astype(np.float32)
    answers = [forward(heads.design, member, features) for member in heads.members]
    expected = ranked(np.mean([attention for _, attention in answers], axis=0))
    attention = np.asarray(result.array("tiles/attention")[...])
    assert len(expected) > 20
    # Ranks of tiles that are nearly alike may change places with the last digits.
    assert np.abs(attention - expected).max() <= 3 / len(expected)
    log_odds = np.mean([logits[1] - logits[0] for logits, _ in answers])
    record = result.record
    answer = record.slide_answer
    assert answer is not None
    assert answer.probability is not None
    assert answer.method == "abmil"
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-3)
    assert record.slide_score == answer.probability
    assert answer.low is not None
    assert answer.high is not None
    assert 0 <= answer.low < answer.probability < answer.high <= 1
    assert answer.probabilities.keys() == {"normal", "tumour"}
    assert answer.state == "suspicious"
    image = result.attention
    assert image is not None
    for (column, row), value in zip(plan.cells.tolist(), attention, strict=True):
        assert image[row, column] == value
    assert np.count_nonzero(~np.isnan(image)) == len(plan)
    assert result.ome["multiscales"] == plain.ome["multiscales"]
    verify(result.path)
    # The classes are the same as without networks.
    assert np.array_equal(result.probability, plain.probability, equal_nan=True)
    assert plain.attention is None
    assert "attention" not in plain.seal.arrays
    exports_show_it(result, tmp_path)
    with pytest.raises(UsageError, match="no probabilities of 'attention'"):
        decide(plain, of="attention")


def exports_show_it(result: Result, folder: Path) -> None:
    """Heatmap and tiles of cells have it in place of a class."""
    image, decision = result.attention, decide(result, of="attention")
    assert image is not None
    assert np.array_equal(decision.probability, image, equal_nan=True)
    assert np.array_equal(decision.tumour, image >= np.float32(0.9))
    assert decide(result, 0.5, "attention").tumour.sum() > decision.tumour.sum() > 0
    write_heatmap(result, folder / "attention.png", of="attention")
    assert (folder / "attention.png").stat().st_size > 10_000
    packed = encode_tile(result, 0, 0, 0, "attention")
    assert packed is not None
    steps = np.frombuffer(gzip.decompress(packed), "<u2", count=image.size).reshape(image.shape)
    assert np.array_equal(steps == NOT_CLASSIFIED, np.isnan(image))
    known = ~np.isnan(image)
    assert np.abs(steps[known] / STEPS - image[known]).max() <= 1 / STEPS
    assert encode_tile(result, 0, 1, 0, "attention") is None


def test_a_run_loads_the_model_once(
    kinds_package: ModelPackage, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, _ = with_networks(kinds_package, tmp_path / "package")
    heads: list[str] = []

    def load(package: ModelPackage, request: RuntimeRequest, *, threshold: float) -> Predictor:
        heads.append(request.head)
        return load_predictor(package, request, threshold=threshold)

    monkeypatch.setenv("WSI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(loaded, "load_predictor", load)
    given = ["run", str(slide), "-o", str(tmp_path / "out"), "--model", str(package.folder)]
    done = CliRunner().invoke(app, [*given, "--device", "cpu", "--runtime", "torch", "-q"])
    assert done.exit_code == 0, done.output
    assert heads == ["both"]
    assert Result(tmp_path / "out" / "slide.zarr").has_attention


def test_a_run_that_was_stopped_ends_as_if_it_were_not(
    kinds_package: ModelPackage,
    model_cache: Path,
    slide: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions, "REGION_TILES", 16)
    package, _ = with_networks(kinds_package, tmp_path / "package", "transmil")

    class Stops(SilentObserver):
        def advanced(self, _: int, __: int) -> None:
            raise StoppedError("stopped")

    with connect(None, 1) as scheduler:
        work = work_of(package, model_cache, scheduler)
        straight = analyse_slide(
            prepare(slide, package, work.analysis), tmp_path / "straight.zarr", work
        )
        prepared = prepare(slide, package, work.analysis)
        with pytest.raises(StoppedError):
            analyse_slide(prepared, tmp_path / "broken.zarr", work, observer=Stops())
        resumed = analyse_slide(prepared, tmp_path / "broken.zarr", work)
    assert resumed.record.timings.resumed_tiles > 0
    assert resumed.seal.arrays == straight.seal.arrays
    assert resumed.record.slide_answer == straight.record.slide_answer


def test_a_mean_has_no_attention_to_show(
    kinds_package: ModelPackage, model_cache: Path, slide: Path, tmp_path: Path
) -> None:
    package, _ = with_networks(kinds_package, tmp_path / "package", "mean-pool")
    with connect(None, 1) as scheduler:
        work = work_of(package, model_cache, scheduler)
        result = analyse_slide(prepare(slide, package, work.analysis), tmp_path / "a.zarr", work)
    assert result.record.slide_answer is not None
    assert result.record.slide_answer.method == "mean-pool"
    assert not result.has_attention


def test_networks_of_another_encoder_are_refused(
    kinds_package: ModelPackage, model_cache: Path, slide: Path, tmp_path: Path
) -> None:
    package, _ = with_networks(kinds_package, tmp_path / "package", features=63)
    with connect(None, 1) as scheduler:
        work = work_of(package, model_cache, scheduler)
        with pytest.raises(PackageError, match=r"63 features of a tile.* 64"):
            analyse_slide(prepare(slide, package, work.analysis), tmp_path / "a.zarr", work)
    assert not (tmp_path / "a.zarr").exists()
