"""A public network that answers with maps, imported and run on a real slide as anybody would.

The network is that of the wheel ``lavlab-shell`` (MIT), which has to be installed; it is no
dependency. It normalises by the statistics of its whole input, so that only one patch over the
whole slide can equal the network run once on the whole padded image.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
import pytest
from PIL import Image

from wsi_pipeline.geometry import Region
from wsi_pipeline.slide import open_slide
from wsi_pipeline.stitch.verification import verify

SLIDE = Path(__file__).parents[3] / "shared" / "data" / "slides" / "cmu-1-small-region.svs"
#: Coarser than the network was made for, so that one small patch covers the slide.
MPP, PATCH_PX, MARGIN_PX = 3.0, 576, 32


def network() -> Path:
    found = importlib.util.find_spec("shell")
    path = Path(found.origin or "").parent / "weights" / "model_v1.onnx" if found else Path()
    if not path.is_file():
        pytest.skip("the wheel lavlab-shell is not installed")
    return path


def wsi(folder: Path, *arguments: object) -> dict[str, Any]:
    environment = {**os.environ, "WSI_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "wsi_pipeline.cli", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_its_map_is_that_of_the_network_run_once(tmp_path: Path) -> None:
    file = network()
    if not SLIDE.exists():
        pytest.skip("there is no ../shared/data")
    package = tmp_path / "package"
    said = ["--mpp", MPP, "--patch-px", PATCH_PX, "--margin", MARGIN_PX, "--head", "sigmoid"]
    said += ["--classes", "epithelium,stroma,background", "--positive", "epithelium"]
    said += ["--mean", 0, 0, 0, "--std", 1, 1, 1, "--licence", "MIT", "--no-int8", "--json"]
    facts = wsi(tmp_path, "models", "import", file, "--name", "shell", "-o", package, *said)
    assert facts["max_abs_difference"] <= 1e-4
    assert any("still change by up to" in one for one in facts["told"])
    out = tmp_path / "out"
    wsi(tmp_path, "run", SLIDE, "-o", out, "--model", package, "--min-tissue", 0, "--json")
    result = verify(out / f"{SLIDE.stem}.zarr")
    found = result.probability
    assert result.classes.names == ("epithelium", "stroma", "background")
    assert result.tiles == 1

    # Level-0 px of the patch with its margins, white around the slide, resampled as runs do.
    scale = result.cell_0.x
    left, right = (place * scale for place in (-MARGIN_PX, PATCH_PX - MARGIN_PX))
    first, last = int(np.floor(left)) - 8, int(np.ceil(right)) + 8
    px = open_slide(SLIDE).read(Region(0, first, first, last - first, last - first))
    box = (left - first, left - first, right - first, right - first)
    side = (PATCH_PX, PATCH_PX)
    image = np.asarray(Image.fromarray(px).resize(side, Image.Resampling.BILINEAR, box=box))
    given = (image.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    logits = onnxruntime.InferenceSession(str(file)).run(None, {"input": given})[0][0]
    rows, columns = found.shape[1:]
    inside = logits[:, MARGIN_PX : MARGIN_PX + rows, MARGIN_PX : MARGIN_PX + columns]
    expected = 1 / (1 + np.exp(-inside))
    assert np.ptp(expected, axis=(1, 2)).min() > 0.5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
