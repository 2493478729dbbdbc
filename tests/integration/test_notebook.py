"""The library's front door, on a small synthetic slide with a real network."""

from pathlib import Path

import numpy as np
import pytest

import wsi_pipeline
from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import ResultError, UnsupportedSlideError
from wsi_pipeline.geometry import Size
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.synth import SynthSpec, write_slide
from wsi_pipeline.tiles.plan import Coverage

CONFIG = AnalysisSettings(device="cpu", precision="fp32", level=1)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "small.tiff"
    write_slide(SynthSpec(Size(1500, 1100), seed=5, tile=256), path)
    return path


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, model_cache: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("WSI_CACHE_DIR", str(model_cache))
    monkeypatch.setenv("WSI_MODELS_DIR", str(tmp_path / "models"))


def test_analyse_and_the_lazy_array_agree(
    slide: Path, package: ModelPackage, tmp_path: Path
) -> None:
    told: list[str] = []
    read: list[int] = []

    class Observer:
        def stage(self, name: str) -> None:
            told.append(name)

        def planned(self, plan: object, resumed_tiles: int) -> None:
            told.append(f"{type(plan).__name__}, {resumed_tiles} resumed")

        def advanced(self, tiles: int, bytes_read: int) -> None:
            # Of the tiles and the controls, whichever are through first.
            read.append(bytes_read)
            if tiles:  # the controls are no tiles
                told.append(f"advanced by {tiles}")

    result = wsi_pipeline.analyse(
        slide, package.folder, tmp_path, analysis=CONFIG, observer=Observer()
    )
    verify(result.path)
    assert result.path == tmp_path / "small.zarr"
    assert told == [
        "Plan, 0 resumed",
        "classifying",
        f"advanced by {result.attributes['tiles']}",
        "writing",
    ]
    assert sum(read) > 0
    lazy = wsi_pipeline.probability_array(slide, package.folder, analysis=CONFIG, chunk=3)
    assert lazy.shape == result.probability.shape
    assert lazy.dtype == np.float32
    classified = result.coverage == Coverage.CLASSIFIED
    assert classified.any()
    with_dask = lazy[:4, :5].compute(scheduler="threads", num_workers=2)
    assert not np.isnan(with_dask).any()
    looked = classified[:4, :5]
    assert np.array_equal(with_dask[looked], result.probability[:4, :5][looked])
    with pytest.raises(ResultError, match="--overwrite"):
        wsi_pipeline.analyse(slide, package.folder, tmp_path, analysis=CONFIG)


def test_what_is_no_slide_is_an_error_of_ours(package: ModelPackage, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSlideError):
        wsi_pipeline.analyse(tmp_path / "absent.svs", package.folder, tmp_path)


def test_the_package_exports_what_it_says() -> None:
    assert all(hasattr(wsi_pipeline, name) for name in wsi_pipeline.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = wsi_pipeline.nonsense
