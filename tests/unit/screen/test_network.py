"""The network answers for each tile of a block as for the tile alone, and only with its arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsi_pipeline.errors import PackageError
from wsi_pipeline.screen.network import Screen, shapes
from wsi_pipeline.screen.view import BLOCK_TILES, TILE_PX, view_px
from wsi_pipeline.testing.screens import red_arrays, red_logit


def test_each_tile_has_its_own_logit() -> None:
    rng = np.random.default_rng(1)
    red = rng.integers(60, 200, (BLOCK_TILES, BLOCK_TILES))
    side = view_px(BLOCK_TILES)
    picture = np.full((side, side, 3), 128, np.uint8)
    inside = slice(TILE_PX // 2, -TILE_PX // 2)
    picture[inside, inside, 0] = red.repeat(TILE_PX, 0).repeat(TILE_PX, 1)
    logits = Screen(red_arrays(), Path("made")).logits(picture)
    assert logits.shape == (BLOCK_TILES, BLOCK_TILES)
    # Places at the rim of a tile look a few px into the next one.
    near = np.array([[red_logit(value, 128) for value in row] for row in red.astype(float)])
    assert np.corrcoef(logits.ravel(), near.ravel())[0, 1] > 0.9
    alike = np.full((side, side, 3), (190, 128, 128), np.uint8)
    assert np.allclose(Screen(red_arrays(), Path("made")).logits(alike), red_logit(190, 128))


@pytest.mark.parametrize("name", list(shapes()))
def test_arrays_of_another_network_are_refused(name: str) -> None:
    arrays = red_arrays()
    broken: list[Any] = [arrays[name][..., :0], arrays[name].astype(np.float64)]
    for wrong in (*broken, arrays[name] * np.float32(np.nan)):
        with pytest.raises(PackageError, match=f"the screen's {name} is not float32"):
            Screen({**arrays, name: wrong}, Path("made"))
    with pytest.raises(PackageError, match="wsi models screen"):
        Screen({key: value for key, value in arrays.items() if key != name}, Path("made"))
