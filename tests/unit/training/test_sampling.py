"""An epoch is a function of seed and epoch: balanced, varied, and the same on every machine."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_pipeline.training.recipe import Recipe
from wsi_pipeline.training.sampling import (
    class_weights,
    draw_candidates,
    draw_epoch,
    draw_validation,
)

MakeRecipe = Callable[..., Recipe]


class Labels:
    """A source whose px nobody asks for."""

    patch_px = 32
    classes = 2
    stain = None

    def __init__(self, sizes: dict[tuple[int, bool], int]) -> None:
        self.unit = np.repeat([u for u, _ in sizes], list(sizes.values())).astype(np.int32)
        self.tumour = np.repeat([t for _, t in sizes], list(sizes.values()))
        self.label = self.tumour.astype(np.int64)
        self.steady = np.arange(len(self.unit)) % 3 > 0
        self.units = tuple(map(str, range(int(self.unit.max()) + 1)))
        self.identity = "labels"

    def read(self, *_: int) -> NDArray[np.uint8]:
        raise AssertionError("nothing is to be read")


@pytest.fixture
def source() -> Labels:
    return Labels({(0, False): 900, (0, True): 5, (1, False): 40, (1, True): 60, (2, False): 90})


def test_classes_and_slides_come_up_alike(source: Labels, small: MakeRecipe) -> None:
    recipe = small(sampling={"stride": 16, "patches": 240}, batch=8)
    epoch = draw_epoch(source, recipe, seed=1, epoch=0)
    tumour, unit = source.tumour[epoch.items], source.unit[epoch.items]
    assert len(epoch) == 240
    assert (tumour.reshape(-1, 8).sum(axis=1) == 4).all()
    assert np.bincount(unit[tumour]).tolist() == [60, 60]
    assert np.bincount(unit[~tumour]).tolist() == [40, 40, 40]
    # The five of slide 0 in turns: none a third time before all came twice.
    counts = np.bincount(epoch.items[tumour & (unit == 0)])
    assert set(counts[counts > 0].tolist()) == {12}


def test_ranks_of_a_batch_all_see_both_classes(source: Labels, small: MakeRecipe) -> None:
    recipe = small(sampling={"stride": 16, "patches": 400}, batch=8)
    epoch = draw_epoch(source, recipe, seed=1, epoch=0)
    for rank in (0, 1):
        share = source.tumour[epoch.items[rank::2]].mean()
        assert 0.3 < share < 0.7


def test_seed_and_epoch_decide_everything(source: Labels, small: MakeRecipe) -> None:
    recipe = small()
    one, same = (draw_epoch(source, recipe, seed=1, epoch=4) for _ in range(2))
    for name in ("items", "offsets", "orientations", "colours", "weights"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
    for other in (
        draw_epoch(source, recipe, seed=1, epoch=5),
        draw_epoch(source, recipe, seed=2, epoch=4),
    ):
        assert not np.array_equal(one.items, other.items)
        assert one.colours is not None
        assert other.colours is not None
        assert not np.array_equal(one.colours, other.colours)


def test_variation_stays_within_its_strengths(source: Labels, small: MakeRecipe) -> None:
    recipe = small(sampling={"stride": 16, "patches": 4000, "jitter": 5})
    epoch = draw_epoch(source, recipe, seed=1, epoch=0)
    assert epoch.colours is not None
    spread = np.abs(epoch.colours - [0, 1, 0, 1, 1, 1, 1, 0, 0, 0]).max(axis=0)
    limits = np.array([64 / 255, 0.25, 0.04, 0.75, *(6 * [0.05])])
    assert (spread <= limits + 1e-6).all()
    assert (spread > 0.95 * limits).all()
    assert set(epoch.orientations.tolist()) == set(range(8))
    moved = np.abs(epoch.offsets).max(axis=1)
    assert moved.max() == 5
    assert (moved[~source.steady[epoch.items]] == 0).all()


def test_nothing_is_varied_where_nothing_is_asked(source: Labels, small: MakeRecipe) -> None:
    strengths = dict.fromkeys(("brightness", "saturation", "hue", "contrast", "stain"), 0.0)
    recipe = small(
        augmentation={"orientations": False, **strengths}, sampling={"stride": 16, "jitter": 0}
    )
    epoch = draw_epoch(source, recipe, seed=1, epoch=0)
    assert epoch.colours is None
    assert not epoch.orientations.any()
    assert not epoch.offsets.any()
    # Twice the tumour patches, in whole batches.
    assert len(epoch) == 136


def test_weights_make_classes_count_alike(source: Labels, small: MakeRecipe) -> None:
    recipe = small(sampling={"stride": 16, "mode": "weighted"}, batch=5)
    epoch = draw_epoch(source, recipe, seed=1, epoch=0)
    assert sorted(epoch.items.tolist()) == list(range(1095))
    tumour = source.tumour[epoch.items]
    assert epoch.weights[tumour][0] == pytest.approx(1095 / (2 * 65))
    assert epoch.weights[~tumour][0] == pytest.approx(1095 / (2 * 1030))
    assert epoch.weights[tumour].sum() == pytest.approx(epoch.weights[~tumour].sum(), rel=1e-5)
    assert class_weights(np.array([1, 0]), 2).tolist() == [1, 1]


def test_hard_negatives_take_their_share(source: Labels, small: MakeRecipe) -> None:
    hard = np.flatnonzero(~source.tumour)[:10]
    recipe = small(sampling={"stride": 16, "patches": 400}, mining={"rounds": 1, "share": 0.6})
    epoch = draw_epoch(source, recipe, seed=1, epoch=0, hard=hard)
    normal = ~source.tumour[epoch.items]
    assert normal.sum() == 200
    assert np.isin(epoch.items[normal], hard).sum() >= 120


def test_validation_repeats_no_patch_and_varies_none(source: Labels, small: MakeRecipe) -> None:
    recipe = small(sampling={"stride": 16, "validation_patches": 200})
    epoch = draw_validation(source, recipe, seed=1)
    assert len(set(epoch.items.tolist())) == len(epoch) == 165  # 65 tumour patches are all
    unit = source.unit[epoch.items][~source.tumour[epoch.items]]
    assert np.bincount(unit).tolist() == [33, 34, 33] or sorted(np.bincount(unit)) == [33, 33, 34]
    assert epoch.colours is None
    assert not epoch.offsets.any()


def test_candidates_are_normal_and_spread(source: Labels) -> None:
    epoch = draw_candidates(source, 60, seed=1, round_=1)
    assert not source.tumour[epoch.items].any()
    assert np.bincount(source.unit[epoch.items]).tolist() == [20, 20, 20]
