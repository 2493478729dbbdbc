"""``wsi stain``: the numbers of a slide or an image, pictures, and targets for training."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsi_pipeline.stain.density import RUIFROK
from wsi_pipeline.testing import write_pyramid
from wsi_pipeline.testing.stained import draw_stained

Wsi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "pale.tiff"
    write_pyramid(path, draw_stained(700, 900, strength=(0.6, 0.8), glass=200))
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "dense.png"
    Image.fromarray(draw_stained(256, 320, strength=(1.2, 1.1))).save(path)
    return path


def test_a_slide_is_shown_as_if_it_were_stained_like_an_image(
    wsi: Wsi, slide: Path, image: Path, tmp_path: Path
) -> None:
    out = tmp_path / "beside.png"
    code, told, _ = wsi("stain", slide, "--target", image, "-o", out, "--json")
    assert code == 0
    facts = json.loads(told)
    assert facts["stain"]["haematoxylin"] == pytest.approx(RUIFROK[0], abs=0.15)
    assert facts["target"]["concentrations"][0] > facts["stain"]["concentrations"][0]
    shown = np.asarray(Image.open(out))
    assert shown.shape == (512, 2 * 512 + 8, 3)
    left, right = shown[:, :512], shown[:, 520:]
    assert left.mean() - right.mean() > 10, "the target is stained more densely"


def test_without_a_target_each_stain_is_shown_alone(wsi: Wsi, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "alone.png"
    code, _, told = wsi("stain", image, "-o", out)
    assert code == 0
    assert "degrees between the stains" in told
    shown = np.asarray(Image.open(out)).astype(int)
    assert shown.shape == (256, 3 * 320 + 16, 3)
    haematoxylin, eosin = shown[:, 328:648], shown[:, 656:]
    # Haematoxylin holds back red, eosin lets it pass.
    nuclei = haematoxylin[..., 0] < 120
    assert nuclei.any()
    assert eosin[nuclei][:, 0].mean() > 220


@pytest.mark.parametrize("method", ["vahadane", "reinhard"])
def test_what_was_found_is_a_target_for_another(
    wsi: Wsi, slide: Path, image: Path, tmp_path: Path, method: str
) -> None:
    target = tmp_path / "target.yaml"
    code, _, told = wsi("stain", image, "--method", method, "--save-target", target)
    assert code == 0
    assert ("haematoxylin" in told) == (method == "vahadane")
    code, told, _ = wsi("stain", slide, "--method", method, "--target", target, "--json")
    assert code == 0
    assert json.loads(told)["target"]
    code, _, told = wsi("stain", slide, "--method", "macenko", "--target", target)
    assert code == 2
    assert f"a target for {method}, not for macenko" in told


def test_what_cannot_be_told_is_said(wsi: Wsi, image: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.fromarray(np.full((64, 64, 3), 245, np.uint8)).save(blank)
    out = tmp_path / "out.png"
    code, _, told = wsi("stain", blank, "--target", image, "-o", out)
    assert code == 3
    assert "left as it is" in told
    assert np.array_equal(np.asarray(Image.open(out))[:, :64], np.asarray(Image.open(blank)))
    code, _, told = wsi("stain", image, "--target", blank)
    assert code == 2
    assert "cannot be a target" in told
    code, _, told = wsi("stain", image, "-o", out)
    assert code == 2
    assert "--overwrite" in told
    code, _, told = wsi("stain", image, "-o", tmp_path / "out.jpg")
    assert code == 2
    assert ".png" in told
