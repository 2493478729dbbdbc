"""What an epoch shows, in which order and how varied: a function of seed and epoch alone.

Workers, ranks and restarts have no say in it, which is what makes an exact resume possible.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.training.geometry import drawn_placement
from wsi_pipeline.training.patch_source import PatchSource
from wsi_pipeline.training.recipe import Recipe

#: Streams of random numbers of one seed and epoch.
_ORDER, _VARIATION, _VALIDATION, _CANDIDATES, _PLACEMENT = range(5)
#: Columns of :attr:`Epoch.colours`.
BRIGHTNESS, SATURATION, HUE, CONTRAST = range(4)
STAIN_SCALE, STAIN_SHIFT = slice(4, 7), slice(7, 10)


@dataclass(frozen=True, slots=True)
class Epoch:
    """The patches of an epoch, in order.

    Attributes:
        items: Numbers of patches in their source, ``(n,)``.
        offsets: How far each is moved along x and y in analysis px, ``(n, 2)``.
        orientations: 0-7 each, ``(n,)``; 0 leaves it.
        colours: How each is recoloured, ``(n, 10)`` float32: shift of brightness (of 255), factor
            of saturation, turn of hue (of 1), factor of contrast, factors of haematoxylin, eosin
            and residual, shifts of the same. None: not at all.
        weights: Of each in the loss, ``(n,)`` float32.
        placed: How each is turned, enlarged and sheared, see :mod:`.geometry`. None: not at all.
    """

    items: NDArray[np.int64]
    offsets: NDArray[np.int64]
    orientations: NDArray[np.int64]
    colours: NDArray[np.float32] | None
    weights: NDArray[np.float32]
    placed: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.items)


def draw_epoch(
    source: PatchSource,
    recipe: Recipe,
    *,
    seed: int,
    epoch: int,
    hard: NDArray[np.int64] | None = None,
) -> Epoch:
    """The patches of a training epoch; whole batches.

    Args:
        source: Patches of both classes.
        recipe: Sampling, augmentation and batch.
        seed: Of the run.
        epoch: From 0 on.
        hard: Normal patches that come up more often, see :class:`~.recipe.Mining`.
    """
    rng = np.random.default_rng([seed, epoch, _ORDER])
    if recipe.sampling.mode == "balanced":
        items = _balanced(source, recipe, rng, hard)
    else:
        items = _everything(source, recipe, rng, hard)
    weights = np.ones(len(items), np.float32)
    if recipe.sampling.mode == "weighted":
        weights = class_weights(source.label, source.classes)[source.label[items]]
    placed = drawn_placement(recipe.augmentation, len(items), [seed, epoch, _PLACEMENT])
    rng = np.random.default_rng([seed, epoch, _VARIATION])
    return _varied(source, recipe, items, weights, placed, rng)


def draw_validation(source: PatchSource, recipe: Recipe, *, seed: int) -> Epoch:
    """The patches that are validated on: as they are, no patch twice.

    Each class in the same number, unless there are fewer; within a class slides in equal numbers.
    Where the recipe gives no number: all, as often as they are.
    """
    if recipe.sampling.validation_patches is None:
        return plain(np.arange(len(source.label)))
    rng = np.random.default_rng([seed, 0, _VALIDATION])
    share = recipe.sampling.validation_patches // source.classes
    chosen = [
        spread_over_units(source, np.flatnonzero(source.label == label), share, rng)
        for label in range(source.classes)
    ]
    return plain(np.sort(np.concatenate(chosen)))


def draw_candidates(source: PatchSource, count: int, *, seed: int, round_: int) -> Epoch:
    """Normal patches to be searched for hard ones, slides in equal numbers, as they are."""
    rng = np.random.default_rng([seed, round_, _CANDIDATES])
    return plain(np.sort(spread_over_units(source, np.flatnonzero(source.label == 0), count, rng)))


def plain(items: NDArray[np.int64]) -> Epoch:
    """Patches as they are."""
    count = len(items)
    return Epoch(
        items=items.astype(np.int64),
        offsets=np.zeros((count, 2), np.int64),
        orientations=np.zeros(count, np.int64),
        colours=None,
        weights=np.ones(count, np.float32),
    )


def class_weights(label: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Weights of the classes, ``w_c = N / (C n_c)``."""
    counts = np.bincount(label, minlength=classes)
    return (len(label) / (classes * counts)).astype(np.float32)


def spread_over_units(
    source: PatchSource, members: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """At most ``count`` of the members, none twice, units in numbers as equal as they allow."""
    shuffled = rng.permutation(members)
    unit = source.unit[shuffled]
    by_unit = np.argsort(unit, kind="stable")
    begins = np.flatnonzero(np.diff(unit[by_unit], prepend=-1))
    rank = np.empty(len(shuffled), np.int64)
    sizes = np.diff(np.append(begins, len(shuffled)))
    rank[by_unit] = np.arange(len(shuffled)) - np.repeat(begins, sizes)
    # Everybody's first, then everybody's second, and so on.
    return shuffled[np.argsort(rank, kind="stable")[:count]]


def _balanced(
    source: PatchSource,
    recipe: Recipe,
    rng: np.random.Generator,
    hard: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    usual = 2 * int(source.label.sum()) if source.classes == 2 else len(source.label)
    wanted = recipe.sampling.patches or usual
    batches = -(-wanted // recipe.batch)
    count = batches * recipe.batch
    # Equal shares of every batch, but in no fixed places: ranks take turns.
    turns = (np.arange(count) % source.classes).reshape(batches, recipe.batch)
    labels = rng.permuted(turns, axis=1).ravel()
    items = np.empty(count, np.int64)
    for label in range(source.classes):
        places = np.flatnonzero(labels == label)
        items[places] = _by_unit(source, source.label == label, len(places), rng)
    if hard is not None and len(hard):
        normal = np.flatnonzero(labels == 0)
        replaced = rng.permutation(normal)[: round(len(normal) * recipe.mining.share)]
        items[replaced] = _cycled(hard, len(replaced), rng)
    return items


def _by_unit(
    source: PatchSource, wanted: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """``count`` patches, units in turns, each unit's patches in turns."""
    members = np.flatnonzero(wanted)
    unit = source.unit[members]
    present = np.unique(unit)
    turns = _cycled(present, count, rng)
    items = np.empty(count, np.int64)
    for one in present:
        places = np.flatnonzero(turns == one)
        items[places] = _cycled(members[unit == one], len(places), rng)
    return items


def _cycled(
    values: NDArray[np.integer[Any]], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """``count`` values in random order, each used once before any is used again."""
    passes = -(-count // len(values))
    shuffled: NDArray[np.int64] = rng.permuted(np.tile(values, (passes, 1)), axis=1)
    return shuffled.ravel()[:count].astype(np.int64)


def _everything(
    source: PatchSource,
    recipe: Recipe,
    rng: np.random.Generator,
    hard: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    everything = np.arange(len(source.label))
    if hard is not None:
        everything = np.concatenate([everything, hard])
    count = -(-len(everything) // recipe.batch) * recipe.batch
    return _cycled(everything, count, rng)


def _varied(
    source: PatchSource,
    recipe: Recipe,
    items: NDArray[np.int64],
    weights: NDArray[np.float32],
    placed: NDArray[np.float32] | None,
    rng: np.random.Generator,
) -> Epoch:
    count, jitter, vary = len(items), recipe.sampling.jitter, recipe.augmentation
    offsets = rng.integers(-jitter, jitter + 1, (count, 2))
    offsets[~source.steady[items]] = 0
    orientations = rng.integers(0, 8, count)
    strengths = np.array(
        [vary.brightness, vary.saturation, vary.hue, vary.contrast, *(6 * [vary.stain])]
    )
    centres = np.array([0, 1, 0, 1, 1, 1, 1, 0, 0, 0])
    colours = centres + strengths * rng.uniform(-1, 1, (count, len(strengths)))
    return Epoch(
        items=items,
        offsets=offsets,
        orientations=orientations if vary.orientations else np.zeros_like(orientations),
        colours=colours.astype(np.float32) if strengths.any() else None,
        weights=weights,
        placed=placed,
    )
