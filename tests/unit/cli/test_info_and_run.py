"""``wsi info`` says beforehand what ``wsi run`` would say: same code, same reason."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.export.findings import find
from wsi_pipeline.export.geojson import write_geojson
from wsi_pipeline.export.table import tile_table
from wsi_pipeline.geometry import Mpp
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.result import Result
from wsi_pipeline.testing import FakePredictor, make_stub_package, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR

Wsi = Callable[..., tuple[int, str, str]]


def tissue() -> NDArray[np.uint8]:
    image = np.full((192, 256, 3), (240, 240, 242), np.uint8)
    image[:128, :128] = NORMAL_COLOUR
    return image


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    for name, mpp in {
        "good": 0.5,
        "unstated": None,
        "absurd": 352.8,
        "coarse": 28.97,
        "oblong": Mpp(0.5, 0.25),
    }.items():
        write_pyramid(folder / f"{name}.tiff", tissue(), mpp=mpp, downsamples=(1, 2))
    write_pyramid(folder / "dark.tiff", np.uint8(30) * (tissue() < 200), downsamples=(1, 2))
    (folder / "text.svs").write_text("no slide")
    (folder / "empty.tiff").touch()
    return folder


@pytest.mark.parametrize(
    ("slide", "options", "code", "reason"),
    [
        ("good.tiff", "", 0, ""),
        ("good.tiff", "--level 1", 0, ""),
        ("good.tiff", "--level 2", 3, "has levels 0 to 1, not 2"),
        ("good.tiff", "--level 1 --mpp 0.5", 2, "not both"),
        ("good.tiff", "--mpp 0.2", 3, "too coarse for a model that wants 0.2 µm"),
        ("good.tiff", "--stride 65", 2, "leave tissue unclassified"),
        ("good.tiff", "--slide-mpp 352", 2, "--slide-mpp"),
        ("oblong.tiff", "", 0, ""),
        ("unstated.tiff", "", 3, "states no resolution"),
        ("unstated.tiff", "--level 0", 3, "states no resolution"),
        ("unstated.tiff", "--slide-mpp 0.5", 0, ""),
        ("absurd.tiff", "", 3, "implausible"),
        ("coarse.tiff", "", 3, "too coarse for a model that wants 0.5 µm"),
        ("dark.tiff", "", 3, "fluorescence or dark field"),
        ("text.svs", "", 3, "not a slide"),
        ("empty.tiff", "", 3, ""),
        ("absent.tiff", "", 3, "no such file"),
    ],
)
def test_both_verbs_agree(
    wsi: Wsi,
    slides: Path,
    stub_package: ModelPackage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slide: str,
    options: str,
    code: int,
    reason: str,
) -> None:
    fake = FakePredictor(patch_px=64)
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: fake)
    common = [slides / slide, "--model", stub_package.folder, *options.split()]
    info_code, text, info_error = wsi("info", *common, "--json")
    run_code, table, run_error = wsi("run", *common, "-o", tmp_path / "out", "--json")
    assert (info_code, run_code) == (code, code), (info_error, run_error)
    assert reason in info_error
    if run_code == 3:
        # Both are the same check, so the reason is the same; `run` names folders, too.
        (row,) = json.loads(table)["slides"]
        assert row["reason"].startswith(info_error.removeprefix("wsi: ").strip())
    if text:
        facts = json.loads(text)
        assert (facts["refused"] is None) == (code == 0)
        assert (facts["analysis"] is None) == (code != 0)


def test_the_notice_of_the_model_goes_with_the_result(
    wsi: Wsi, slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = "Research preview, fitted on 4,057 patches"
    training = {"data": "patches", "synthetic": False}
    package = make_stub_package(tmp_path / "preview", notice=notice, training=training)
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: FakePredictor(patch_px=64))
    run = ["run", slides / "good.tiff", "--model", package.folder, "-o", tmp_path / "out"]
    code, table, error = wsi(*run, "--json")
    assert code == 0, error
    assert f"! test-model 1: {notice}" in error
    assert json.loads(table)["slides"][0]["notice"] == notice
    result = Result(tmp_path / "out" / "good.zarr")
    assert find(result).notice == notice
    assert "synthetic-model" not in {alarm.code for alarm in result.alarms}
    write_geojson(result, tmp_path / "x.geojson")
    about = json.loads((tmp_path / "x.geojson").read_text(encoding="utf-8"))["wsi_pipeline"]
    assert about["model"]["notice"] == notice
    told = json.loads(tile_table(result).schema.metadata[b"wsi_pipeline"])
    assert told["model"]["notice"] == notice
    code, shown, _ = wsi("models", "show", package.folder)
    assert f"! {notice}" in shown


def test_without_a_model_info_asks_what_no_model_decides(wsi: Wsi, slides: Path) -> None:
    codes = {
        name: wsi("info", slides / f"{name}.tiff")[0]
        for name in ("good", "oblong", "coarse", "unstated", "absurd", "dark")
    }
    refused = {name for name, code in codes.items() if code == 3}
    assert refused == {"unstated", "absurd", "dark"}
    assert {code for name, code in codes.items() if name not in refused} == {0}
    _, out, err = wsi("info", slides / "unstated.tiff")
    # What is known is shown all the same, and then why that is not enough.
    assert "256 × 192" in out
    assert "resolution unknown" in out
    assert "--slide-mpp" in err
    assert wsi("info", slides / "coarse.tiff", "--mpp", "0.5")[0] == 3


def test_info_tells_what_is_not_square(wsi: Wsi, slides: Path, stub_package: ModelPackage) -> None:
    _, out, _ = wsi("info", slides / "oblong.tiff", "--model", stub_package.folder)
    words = " ".join(out.split())
    assert "0.5 × 0.25 µm/px" in words
    assert "px are not square" in words
    assert "4 × 2 tiles of level 0 at 0.5 µm/px" in words
