"""The command line: help for every verb, exit codes, JSON that parses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline import cli
from wsi_pipeline.model import loaded
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing import FakePredictor, write_pyramid
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.sections import draw_section, write_labelled_jpeg

Wsi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    image = np.full((256, 384, 3), NORMAL_COLOUR, np.uint8)
    image[:, :128] = TUMOUR_COLOUR
    path = tmp_path / "slides" / "a.tiff"
    path.parent.mkdir()
    write_pyramid(path, image)
    return path


ANALYSIS = ["demo", "info", "run", "features", "export", "verify", "synth", "models", "dataset"]
ANALYSIS += ["train", "evaluate", "classify", "cells", "stain", "qc"]
SERVICE = ["serve", "worker", "config", "keys", "audit", "migrate", "gc", "client"]
VERBS = ANALYSIS + SERVICE
GROUPS = {"keys": ["create", "list", "revoke"], "audit": ["verify"]}
GROUPS["models"] = ["list", "show", "card", "verify", "pack", "import", "export"]
GROUPS["dataset"] = ["index", "rasterize", "split", "show"]
GROUPS["client"] = ["upload", "submit", "status", "wait", "fetch"]
SUBVERBS = [f"{verb} {sub}" for verb, subs in GROUPS.items() for sub in subs]


def test_the_front_page_lists_every_verb(wsi: Wsi) -> None:
    code, out, _ = wsi("--help")
    assert code == 0
    assert set(VERBS) == set(cli._VERBS)
    assert all(verb in out for verb in VERBS)
    assert "not a medical" in out


@pytest.mark.parametrize("verb", [*VERBS, *SUBVERBS])
def test_help_shows_an_example(wsi: Wsi, verb: str) -> None:
    code, out, err = wsi(*verb.split(), "--help")
    assert (code, err) == (0, "")
    if verb in GROUPS:
        assert all(sub in out for sub in GROUPS[verb])
    else:
        assert f"wsi {verb}" in out
        assert "Example" in out


def test_the_version_is_printed(wsi: Wsi) -> None:
    code, out, _ = wsi("--version")
    assert code == 0
    assert out.strip().count(".") >= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "a.svs"],
        ["run", "a.svs", "-o", "out", "--model", "absent"],
        ["run", "a.svs", "-o", "out", "--model", "x", "--mpp", "0.5", "--level", "1"],
        ["run", "a.svs", "-o", "out", "--model", "x", "--min-tissue", "2"],
        ["run", "a.svs", "-o", "out", "--model", "x", "--slide-mpp", "352"],
        ["run", "a.svs", "-o", "out", "--model", "x", "--device", "tpu"],
        ["run", "a.svs", "-o", "out", "--model", "x", "--tissue", "maybe"],
        ["info"],
        ["export", "a.zarr", "painting"],
        ["synth", "out", "--size", "big"],
        ["models", "show", "absent"],
        ["models", "nonsense"],
        ["verify"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_why(
    wsi: Wsi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = wsi(*arguments)
    assert code == 2
    assert err.strip()
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_stride_larger_than_the_patch_is_refused(
    wsi: Wsi, slide: Path, stub_package: ModelPackage, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, err = wsi("run", slide, "-o", out, "--model", stub_package.folder, "--stride", 65)
    assert code == 2
    assert "leave tissue unclassified" in err


def test_info_describes_a_slide(wsi: Wsi, slide: Path) -> None:
    code, out, _ = wsi("info", slide, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["mpp"]["x"] == pytest.approx(0.5)
    assert [(level["width"], level["height"]) for level in facts["levels"]] == [
        (384, 256),
        (192, 128),
        (96, 64),
    ]
    code, out, _ = wsi("info", slide)
    assert code == 0
    assert "384 × 256" in out


def test_info_on_a_bad_slide_exits_with_3(wsi: Wsi, tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_text("no slide")
    for path, reason in ((tmp_path / "a.svs", "not a slide"), (tmp_path / "b.svs", "no such file")):
        code, _, err = wsi("info", path)
        assert code == 3
        assert f"wsi: {path}" in err
        assert reason in err


def test_info_tells_of_wrong_colours(wsi: Wsi, tmp_path: Path) -> None:
    path, section = tmp_path / "a.tiff", draw_section()
    write_labelled_jpeg(path, section, tag="rgb", stored="YCBCR")
    code, out, _ = wsi("info", path, "--json")
    assert code == 0
    assert "corrected: the file's tag says RGB" in json.loads(out)["warnings"][0]
    write_pyramid(path, 255 - section)
    code, _, err = wsi("info", path)
    assert code == 3
    assert "as in a negative; export it again" in err


def test_run_verify_and_export(
    wsi: Wsi,
    slide: Path,
    stub_package: ModelPackage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakePredictor(patch_px=64)
    monkeypatch.setattr(loaded, "load_predictor", lambda *_, **__: fake)
    out = tmp_path / "out"
    command = ["run", slide.parent, "-o", out, "--model", stub_package.folder, "--json"]
    code, text, err = wsi(*command)
    facts = json.loads(text)
    assert code == 0, err
    assert (facts["done"], facts["failed"]) == (1, 0)
    assert facts["slides"][0]["slide_score"] == 1
    assert json.loads((out / "summary.json").read_text(encoding="utf-8")) == facts
    assert "1 done" in err
    (slide.parent / "b.svs").write_text("no slide")
    code, text, err = wsi(*command, "--quiet")
    facts = json.loads(text)
    assert code == 3
    assert err.startswith(f"✗ {slide.parent / 'b.svs'}: ")
    assert err.count("\n") == 1
    assert (facts["skipped"], facts["failed"]) == (1, 1)
    result = out / "a.zarr"
    code, text, _ = wsi("verify", result, "--json")
    assert (code, json.loads(text)[0]["whole"]) == (0, True)
    code, text, _ = wsi("export", result, "csv", "--json")
    assert code == 0
    assert Path(json.loads(text)["written"]).stat().st_size == json.loads(text)["bytes"]
    next(f for f in result.rglob("c/*/*")).unlink()
    code, text, err = wsi("verify", result, "--json")
    assert (code, json.loads(text)[0]["whole"]) == (3, False)
    assert "damaged" in json.loads(text)[0]["reason"]
    with pytest.raises(Exception, match="damaged"):
        verify(result)


def test_models_show_prints_the_package(wsi: Wsi, stub_package: ModelPackage) -> None:
    code, out, _ = wsi("models", "show", stub_package.folder, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["sha256"] == stub_package.sha256
    assert facts["name"] == "test-model"
    code, out, _ = wsi("models", "show", stub_package.folder)
    assert "! Trained on synthetic tissue" in out


def test_models_verify_holds_a_runtime_to_the_reference(wsi: Wsi, package: ModelPackage) -> None:
    command = ["models", "verify", package.folder, "--runtime", "torch", "--device", "cpu"]
    code, out, _ = wsi(*command, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["max_abs_difference"] <= 1e-4
    assert facts["runtime"]["precision"] == "fp32"
