"""Slides of two laboratories before a package that knows one of them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wsi_pipeline import familiarise as module
from wsi_pipeline.errors import PackageError, UsageError
from wsi_pipeline.familiarise import add_statistics, familiarise, of_images, of_slides
from wsi_pipeline.images.collection import LabelledImage
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage, load_package
from wsi_pipeline.model.runtime import RuntimeRequest
from wsi_pipeline.pipeline import analyse_slide
from wsi_pipeline.run import regions
from wsi_pipeline.run.alarms import find_alarms
from wsi_pipeline.run.checkpoint import Checkpoint
from wsi_pipeline.run.preparation import prepare
from wsi_pipeline.run.work import Work
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import FakePredictor, make_stub_package, red_share, write_pyramid

OWN, FOREIGN = (150, 60, 150), (90, 60, 165)
PATCH = 64
CELLS = np.ones((1, 1), np.float32)


def draw(
    path: Path,
    seed: int,
    colour: tuple[int, int, int] = OWN,
    *,
    blur: float = 0.0,
    mpp: float = 0.5,
) -> Path:
    """Tissue with nuclei on glass; every slide is stained a little otherwise."""
    rng = np.random.default_rng(seed)
    dots = gaussian_filter((rng.random((512, 512)) < 0.006).astype(float), 3)
    shade = 90 * dots / dots.max() + rng.normal(0, 8, (512, 512)) + rng.normal(0, 4)
    image = np.full((512, 768, 3), 240.0)
    image[:, :512] = np.array(colour) - shade[..., None] * np.array([1.2, 0.6, 0.5])
    if blur:
        image = gaussian_filter(image, (blur, blur, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, image.clip(0, 255).astype(np.uint8), mpp=mpp)
    return path


def answer(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The class, then twelve features: means and details of the channels in quarters."""
    half = patches[:, ::2, ::2].astype(np.float32)
    means = half.reshape(len(half), 2, -1, 3).mean(axis=2)
    spread = half.reshape(len(half), 2, -1, 3).std(axis=2)
    features = np.concatenate([means, spread], axis=2).reshape(len(half), -1)
    return np.concatenate([red_share(patches)[:, None], features], axis=1)


def load(*_: object, **__: object) -> FakePredictor:
    """Stands in for every model that is loaded."""
    return FakePredictor(answer, patch_px=PATCH, features=12)


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("slides")
    return [draw(folder / f"{seed}.tiff", seed) for seed in range(8)]


@pytest.fixture(scope="module")
def package(slides: list[Path], tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    folder = tmp_path_factory.mktemp("models")
    training = {"data": "slides", "synthetic": False}
    plain = make_stub_package(folder / "plain", training=training)
    request = RuntimeRequest("cpu", "fp32", folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_predictor", load)
        found = familiarise(plain, of_slides(slides, plain, lambda _: None), "slide", request)
    add_statistics(plain, found, folder / "familiar")
    with pytest.raises(PackageError, match="exists already"):
        add_statistics(plain, found, folder / "familiar")
    return load_package(folder / "familiar")


@pytest.fixture
def analyse(
    package: ModelPackage,
    make_work: Callable[..., Work],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Result]:
    work = make_work()
    # In place of the predictor that it brings, which has no features.
    monkeypatch.setattr(loaded, "load_predictor", load)
    runtime = dataclasses.replace(work.runtime, head=package.run_head)
    work = dataclasses.replace(work, package=package, runtime=runtime)

    def make(slide: Path, name: str = "a", **settings: object) -> Result:
        analysis = work.analysis.model_copy(update=settings)
        final = tmp_path / f"{name}.zarr"
        return analyse_slide(
            prepare(slide, package, analysis), final, dataclasses.replace(work, analysis=analysis)
        )

    return make


def column(result: Result, name: str) -> NDArray[np.float32]:
    return np.asarray(result.array(f"tiles/{name}")[...])


def codes(result: Result) -> set[str]:
    made_up = {"too-few-tiles", "tumour-on-glass", "one-valued"}  # of the model, not of the slide
    return {alarm.code for alarm in result.alarms} - made_up


def test_own_slides_are_told_from_foreign_ones(
    analyse: Callable[..., Result], tmp_path: Path
) -> None:
    own = [analyse(draw(tmp_path / f"own{n}.tiff", 50 + n), f"own{n}") for n in range(3)]
    foreign = analyse(draw(tmp_path / "foreign.tiff", 60, FOREIGN), "foreign")
    assert [codes(result) for result in own] == [set()] * 3
    assert codes(foreign) == {"unlike-training"}
    shift = foreign.record.shift
    assert shift is not None
    assert shift.p_value is not None
    assert shift.p_value <= shift.level
    assert shift.far_tiles == 1.0
    assert shift.far is not None
    of_tiles = np.asarray(foreign.array("tiles/distance")[...])
    assert (of_tiles[~np.isnan(of_tiles)] > shift.far).all()
    assert set(shift.kinds) == {"features", "colour", "focus", "texture"}
    (alarm,) = (one for one in foreign.alarms if one.code == "unlike-training")
    assert "colour (" in alarm.message
    assert "the nearest training tile is" in alarm.message
    distances = [column(result, "distance") for result in (own[0], foreign)]
    assert all(one.dtype == np.float32 and one.shape == (64,) for one in distances)
    assert np.median(distances[1]) > 2 * np.median(distances[0])
    assert all(one.record.shift.distance < shift.distance for one in own)  # type: ignore[union-attr, operator]  # both are there


def test_a_blurred_slide_and_a_wrong_resolution_are_named(
    analyse: Callable[..., Result], tmp_path: Path
) -> None:
    blurred = analyse(draw(tmp_path / "blurred.tiff", 70, blur=2.0), "blurred")
    (alarm,) = (one for one in blurred.alarms if one.code == "unlike-training")
    assert "focus (blurred)" in alarm.message
    halved = analyse(draw(tmp_path / "halved.tiff", 71, mpp=1.0), "halved", level=0)
    (alarm,) = (one for one in halved.alarms if one.code == "nuclei-size")
    assert "--slide-mpp 0.5" in alarm.message


def test_exchanged_channels_and_a_lack_of_glass_name_their_cause(
    analyse: Callable[..., Result], tmp_path: Path
) -> None:
    slide = draw(tmp_path / "bgr.tiff", 72, (165, 60, 60))
    record = analyse(slide, "bgr").record
    assert record.shift is not None
    swapped = dataclasses.replace(record.shift, swapped="stored in the order BGR")
    told = [
        one.message
        for one in find_alarms(dataclasses.replace(record, shift=swapped), CELLS)
        if one.code == "exchanged-channels"
    ]
    assert len(told) == 1
    assert "order BGR" in told[0]
    counts = dataclasses.replace(record.counts, glass=0, classified=400)
    dark = dataclasses.replace(record, counts=counts, shift=swapped)
    (message,) = (one.message for one in find_alarms(dark, CELLS) if one.code == "no-background")
    assert "channels are stored in the order BGR" in message


def test_resumed_distances_are_the_same(
    analyse: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regions, "REGION_TILES", 8)
    slide = draw(tmp_path / "slide.tiff", 80)
    whole = analyse(slide, "whole")
    saved = Checkpoint.save

    def save_some(self: Checkpoint, index: int, values: NDArray[np.float32]) -> None:
        if index == 4:
            raise KeyboardInterrupt
        saved(self, index, values)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_some)
        with pytest.raises(KeyboardInterrupt):
            analyse(slide, "stopped")
    resumed = analyse(slide, "stopped")
    assert resumed.record.shift == whole.record.shift
    for name in ("distance", "nearest"):
        one, other = (column(result, name) for result in (whole, resumed))
        assert one.tobytes() == other.tobytes()


def test_a_package_that_keeps_nothing_says_so(
    make_work: Callable[..., Work], slides: list[Path], tmp_path: Path
) -> None:
    work = make_work()
    result = analyse_slide(
        prepare(slides[0], work.package, work.analysis), tmp_path / "a.zarr", work
    )
    shift = result.record.shift
    assert shift is not None
    assert shift.p_value is None
    assert "familiarise" in shift.reason


def test_too_few_slides_or_images_are_refused(
    slides: list[Path],
    stub_package: ModelPackage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "load_predictor", load)
    request = RuntimeRequest("cpu", "fp32", tmp_path)
    some = of_slides(slides[:3], stub_package, lambda _: None)
    with pytest.raises(UsageError, match="3 slides with tissue are too few"):
        familiarise(stub_package, some, "slide", request)
    images = of_images([LabelledImage(tmp_path / "no.png")], stub_package, lambda _: None)
    with pytest.raises(UsageError, match="0 images with tissue are too few"):
        familiarise(stub_package, images, "image", request)
