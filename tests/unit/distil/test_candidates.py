"""Of several networks the one is kept that screens most, and upper limits know of the choice."""

from pathlib import Path

import numpy as np
import pytest

from wsi_pipeline.distil.candidates import CANDIDATES, Candidate, choose, fit_candidates
from wsi_pipeline.distil.network import Examples
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.screen.limits import ScoredSlide, upper_limit
from wsi_pipeline.screen.network import Screen
from wsi_pipeline.screen.view import BLOCK_TILES, view_px
from wsi_pipeline.testing.screens import red_arrays

POSITIVES, NEGATIVES = 60, 200


def scored(name: str, lowest: float) -> ScoredSlide:
    """Positive tiles from ``lowest`` up, negative ones spread evenly below 0."""
    scores = np.concatenate([np.linspace(lowest, 9, POSITIVES), np.linspace(-10, 0, NEGATIVES)])
    probabilities = np.repeat(np.array([0.9, 0.1], np.float32), (POSITIVES, NEGATIVES))
    return ScoredSlide(name, np.ones(3) / 3**0.5, scores.astype(np.float32), probabilities)


def candidate(lowest: float) -> Candidate:
    arrays = red_arrays()
    return Candidate(arrays, Screen(arrays, Path()), [scored(name, lowest) for name in "ab"])


def test_the_one_that_screens_most_is_kept() -> None:
    candidates = [candidate(lowest) for lowest in (-6.0, -1.0, -3.0)]
    chosen = choose(candidates, 0.5, 0.001, 0.95)
    assert chosen.arrays is candidates[1].arrays
    assert chosen.screened > 0
    (stain,) = chosen.stains
    assert stain.lost == 0
    # One in twenty in all, whichever of the three it is.
    assert stain.upper == pytest.approx(upper_limit(0, 2 * POSITIVES, 1 - 0.05 / 3))
    assert stain.upper > upper_limit(0, 2 * POSITIVES, 0.95)


def test_without_positive_tiles_there_is_no_limit() -> None:
    few = candidate(-1.0)
    few.scored = few.scored[:1]
    with pytest.raises(UsageError, match="no limit can be chosen: slides coloured as a: 60 pos"):
        choose([few], 0.5, 0.001, 0.95)


def test_candidates_differ_and_progress_is_told_of_all(package: ModelPackage) -> None:
    rng = np.random.default_rng(5)
    views = rng.integers(0, 256, (20, 64, 64, 3)).astype(np.uint8)
    examples = Examples(views, np.linspace(0, 1, 20, dtype=np.float32))
    told: list[tuple[int, int]] = []
    found = fit_candidates(
        package, examples, steps=3, seed=7, told=lambda done, of: told.append((done, of))
    )
    assert told == [(done, 3 * CANDIDATES) for done in range(1, 3 * CANDIDATES + 1)]
    weights = {one.arrays["weight0"].tobytes() for one in found}
    assert len(weights) == len(found) == CANDIDATES
    side = view_px(BLOCK_TILES)
    picture = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    answers = [one.network.logits(picture) for one in found]
    assert not np.array_equal(answers[0], answers[1])
