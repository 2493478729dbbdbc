"""The network learns what it is shown, and is the same network once its factors are folded."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.distil.network import Examples, fit_network
from wsi_pipeline.screen.network import Screen
from wsi_pipeline.screen.view import BLOCK_TILES, MARGIN_PX, TILE_PX, view_px


def examples(count: int, seed: int) -> Examples:
    """Noise, in half of which a dark spot of 10 px lies somewhere in the tile."""
    rng = np.random.default_rng(seed)
    side = view_px(1)
    views = rng.normal(190, 12, (count, side, side, 3)).clip(0, 255).astype(np.uint8)
    spotted = np.arange(count) % 2 == 0
    for view, has_one in zip(views, spotted, strict=True):
        if not has_one:
            continue
        x, y = rng.integers(MARGIN_PX, MARGIN_PX + TILE_PX - 10, 2)
        view[y : y + 10, x : x + 10] //= 2
    return Examples(views, np.where(spotted, 0.95, 0.05).astype(np.float32))


def in_blocks(screen: Screen, views: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logit of each view, put at the corner of a block."""
    found = []
    for view in views:
        picture = np.full((view_px(BLOCK_TILES),) * 2 + (3,), 190, np.uint8)
        picture[: len(view), : len(view)] = view
        found.append(screen.logits(picture)[0, 0])
    return np.array(found)


def test_a_small_spot_is_found_wherever_it_lies_in_the_tile() -> None:
    arrays = fit_network(examples(400, 1), 0.5, steps=150, seed=1)
    unseen = examples(60, 2)
    logits = in_blocks(Screen(arrays, Path("made")), unseen.views)
    positive = unseen.probabilities >= 0.5
    assert logits[positive].min() > logits[~positive].max()


def test_the_same_seed_gives_the_same_network() -> None:
    one, other = (fit_network(examples(80, 1), 0.5, steps=5, seed=7) for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)
