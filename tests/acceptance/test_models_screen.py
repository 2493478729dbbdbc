"""A screen from the command that makes it to a run that uses it."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from acceptance_support import Wsi
from numpy.typing import NDArray

from wsi_pipeline.stitch.result import Result
from wsi_pipeline.stitch.verification import verify
from wsi_pipeline.testing.models import NORMAL_COLOUR, TUMOUR_COLOUR
from wsi_pipeline.testing.slides import write_pyramid
from wsi_pipeline.tiles.plan import Coverage

pytestmark = pytest.mark.slow

#: Px of a tile of the package, and tiles along the slides.
_TILE, _COLUMNS, _ROWS = 96, 20, 16
#: Tumour is so many tiles wide and high.
_TUMOUR = 6


def _write(path: Path, seed: int, tumour: int = _TUMOUR, colours: slice = slice(None)) -> None:
    """A slide of tissue with a square of tumour somewhere, in a frame of glass a tile wide."""
    rng = np.random.default_rng(seed)
    image = np.full((_ROWS * _TILE, _COLUMNS * _TILE, 3), 242, np.float64)
    image[_TILE:-_TILE, _TILE:-_TILE] = NORMAL_COLOUR
    row, column = rng.integers(1, (_ROWS - tumour, _COLUMNS - tumour))
    inside = (slice(start * _TILE, (start + tumour) * _TILE) for start in (row, column))
    image[tuple(inside)] = TUMOUR_COLOUR
    image = image[..., colours] + rng.normal(0, 8, image.shape)
    px = image.clip(0, 255).astype(np.uint8)
    write_pyramid(path, px, compression="jpeg", tile=256, downsamples=(1, 2, 4, 8))


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Six slides of one stain."""
    folder = tmp_path / "made-of"
    folder.mkdir()
    for seed in range(6):
        _write(folder / f"{seed}.tiff", seed)
    return folder


@pytest.fixture
def screened(wsi: Wsi, slides: Path, tmp_path: Path) -> Path:
    """The package with a screen; its making was killed once."""
    out = tmp_path / "made" / "screened"
    out.parent.mkdir()
    command = ("models", "screen", wsi.package.folder, slides, "-o", out, "--steps", 250, "--json")
    answers = out.with_name("screened.answers")
    process = wsi.start(*command)
    while process.poll() is None and len(list(answers.glob("*.npy"))) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert len(list(answers.glob("*.npy"))) >= 2
    done = wsi(*command, limit=600)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    (stain,) = made["screen"]["stains"]
    assert stain["slides"] == 3
    assert stain["lost"] == 0
    assert stain["positives"] >= 3 * (_TUMOUR - 1) ** 2
    assert stain["screened"] > 0.5
    assert made["screen"]["fitted"] == "3 slides, 250 batches; limits on 3 others"
    assert len(made["validation"]) == 3
    assert not answers.exists(), "of no use once the package is there"
    return out


def _run(wsi: Wsi, slide: Path, out: Path, package: Path, screen: str) -> Result:
    done = wsi("run", slide, "-o", out, "--model", package, "--screen", screen, "--quiet")
    assert done.returncode == 0, done.stderr
    return verify(out / f"{slide.stem}.zarr")


def _positive(result: Result) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.asarray(result.probability) >= 0.5
    return found


@pytest.mark.timeout(900)
def test_an_unseen_slide_is_screened_and_one_of_another_stain_is_not(
    wsi: Wsi, screened: Path, tmp_path: Path
) -> None:
    slide = tmp_path / "unseen.tiff"
    _write(slide, 100)
    whole = _run(wsi, slide, tmp_path / "off", screened, "off")
    part = _run(wsi, slide, tmp_path / "auto", screened, "auto")
    record = part.record.screen
    assert record is not None
    assert (record.reason, record.wrong) == ("", 0)
    assert record.screened > record.tiles / 2
    assert (part.coverage == Coverage.SCREENED).sum() == record.screened
    assert (whole.coverage == Coverage.SCREENED).sum() == 0
    assert _positive(whole).sum() >= (_TUMOUR - 1) ** 2
    assert np.array_equal(_positive(whole), _positive(part))
    assert np.array_equal(whole.mask(0)[...], part.mask(0)[...])
    other = tmp_path / "green.tiff"
    _write(other, 101, colours=slice(None, None, -1))
    result = _run(wsi, other, tmp_path / "auto", screened, "auto")
    assert result.record.screen is not None
    assert "no stain that the screen was validated on" in result.record.screen.reason
    assert (result.coverage == Coverage.SCREENED).sum() == 0


def test_slides_without_tumour_make_no_screen(wsi: Wsi, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    for seed in range(4):
        _write(folder / f"{seed}.tiff", seed, tumour=0)
    done = wsi("models", "screen", wsi.package.folder, folder, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "calls no tile of the slides to learn from positive" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()
