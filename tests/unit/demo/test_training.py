"""What the demo learns from, and how its head is fitted. Building it takes minutes: not here."""

import itertools

import numpy as np

from wsi_pipeline.demo.patches import as_on_slides, both_classes
from wsi_pipeline.demo.training import fit_twice
from wsi_pipeline.model.linear_probe import fit_head

#: Seed of the features.
_SEED = 4


def test_normal_patches_that_look_like_tumour_weigh_more() -> None:
    rng = np.random.default_rng(_SEED)
    normal, tumour = rng.normal(0, 1, (900, 3)), rng.normal((6, 0, 0), 1, (300, 3))
    # As far along the first feature as half of the tumour, but told by the second.
    hard = rng.normal((5, 3, 0), 0.5, (12, 3))
    # Many and alike, as those of random filters are: the penalty is for such.
    normal, tumour, hard = (np.tile(one, 100) for one in (normal, tumour, hard))
    features = np.concatenate([normal, hard, tumour])
    labels = np.repeat([0.0, 1.0], [912, 300])
    weight, bias = fit_twice(features, labels)
    once, its_bias = fit_head(features, labels, 100.0, np.where(labels == 1, 0.1 / 0.9 * 3.04, 1))
    assert (hard @ weight + bias).mean() < (hard @ once + its_bias).mean() - 0.5
    assert (normal @ weight + bias < 0).all()
    assert (tumour @ weight + bias > 0).mean() > 0.9


def test_what_is_held_out_is_of_no_slide_that_is_learned_from() -> None:
    to_train, held_out = both_classes()
    learned = {(one.stain, one.seed) for one in (*to_train, *as_on_slides())}
    assert not learned & {(one.stain, one.seed) for one in held_out}
    assert {stain for stain, _ in learned} == {"a", "b", "c"}


def test_drawings_of_a_slide_follow_each_other() -> None:
    slides = [(one.stain, one.seed) for one in as_on_slides()]
    changes = sum(one != other for one, other in itertools.pairwise(slides))
    assert changes == len(set(slides)) - 1
