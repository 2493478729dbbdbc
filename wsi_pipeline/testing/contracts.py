"""Contract suites: what every implementation of an interface is held to, ours and yours.

Each function raises :class:`AssertionError` at the first promise that is not kept.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.geometry import Region
from wsi_pipeline.model.predictor import Predictor, predict_all
from wsi_pipeline.slide.reader import WHITE, SlideReader
from wsi_pipeline.testing.slides import Pixels, cut

_THREADS = 8
_RANDOM_REGIONS = 24


def check_reader(
    reader: SlideReader,
    levels: Sequence[Pixels],
    scanned: Sequence[NDArray[np.bool_]] | None = None,
    *,
    seed: int = 0,
) -> None:
    """Hold a reader to :class:`~wsi_pipeline.slide.reader.SlideReader`.

    Args:
        reader: Over a slide of which every px is readable.
        levels: What its levels show, finest first, white where not scanned.
        scanned: Where the scanner looked; None if it looked everywhere.
        seed: Of the random regions.
    """
    stated = [(level.size.height, level.size.width) for level in reader.info.levels]
    assert stated == [pixels.shape[:2] for pixels in levels], f"level sizes {stated}"
    downsamples = [level.downsample for level in reader.info.levels]
    assert downsamples[0] == 1, f"level 0 has a downsample of {downsamples[0]}"
    assert downsamples == sorted(downsamples), f"levels are not finest first: {downsamples}"
    regions = [region for index in range(len(levels)) for region in _regions(levels, index, seed)]
    looked = scanned or [np.ones(pixels.shape[:2], np.bool_) for pixels in levels]

    def check(region: Region) -> None:
        pixels = reader.read(region)
        _check_pixels(pixels, cut(levels[region.level], region, WHITE), region)
        again, seen = reader.read_scanned(region)
        _check_pixels(again, pixels, region)
        where = cut(looked[region.level], region, 0)
        assert seen.dtype == np.bool_, f"scanned px are told as {seen.dtype}"
        assert np.array_equal(seen, where), f"what was scanned of {region} differs"

    for region in regions:
        check(region)
    with ThreadPoolExecutor(_THREADS) as pool:
        order = np.random.default_rng(seed + 1).permutation(len(regions))
        for _ in pool.map(check, [regions[i] for i in order]):
            pass
    for index, pixels in enumerate(levels):
        segment = reader.segment_of(index)
        every = Region(index, 0, 0, pixels.shape[1], pixels.shape[0])
        for part in [] if segment is None else every.cut(segment):
            _check_pixels(reader.read(part), cut(pixels, part, WHITE), part)
    region = regions[0]
    if (mine := reader.read(region)).flags.writeable:
        mine[:] = 7
    _check_pixels(reader.read(region), cut(levels[0], region, WHITE), region)


def _check_pixels(actual: Pixels, expected: Pixels, region: Region) -> None:
    assert actual.dtype == np.uint8, f"px of {actual.dtype}"
    assert actual.shape == expected.shape, f"{region} came as {actual.shape}"
    assert np.array_equal(actual, expected), (
        f"{region}: {np.count_nonzero((actual != expected).any(axis=-1))} px differ, "
        f"by up to {np.abs(actual.astype(int) - expected).max()}"
    )


def _regions(levels: Sequence[Pixels], level: int, seed: int) -> list[Region]:
    """The whole level, over and beyond every edge, single px, lines, and random boxes."""
    height, width = levels[level].shape[:2]
    rng = np.random.default_rng((seed, level))
    fixed = [
        (0, 0, width, height),
        (0, 0, 1, 1),
        (width - 1, height - 1, 1, 1),
        (width // 2, 0, 1, height),
        (0, height // 2, width, 1),
        (-3, -5, 11, 13),
        (width - 4, height - 2, 9, 7),
        (-2, height - 3, width + 5, 6),
        (width + 10, 0, 5, 5),
        (0, -20, 5, 5),
    ]
    boxes = [
        (
            int(rng.integers(-20, width + 5)),
            int(rng.integers(-20, height + 5)),
            int(rng.integers(1, 90)),
            int(rng.integers(1, 90)),
        )
        for _ in range(_RANDOM_REGIONS)
    ]
    return [Region(level, *box) for box in (*fixed, *boxes)]


def check_predictor(
    predictor: Predictor,
    patches: NDArray[np.uint8],
    expected: NDArray[np.float32],
    tolerance: float,
    *,
    anywhere: bool = True,
) -> None:
    """Hold a predictor to :class:`~wsi_pipeline.model.predictor.Predictor`.

    Args:
        predictor: The loaded model.
        patches: At least one, ``(n, patch, patch, 3)``; more than a batch test more.
        expected: Their probabilities, ``(n,)`` of a binary model, else ``(n, classes)``; with
            features as the predictor gives them.
        tolerance: Largest difference allowed from them.
        anywhere: A patch has the very same value at every place of a batch, not only in every
            company at the same place. Nothing in the pipeline needs that, since batches are cut by
            plan index, and some CPU libraries round by place.
    """
    batch, count = predictor.batch_size, len(patches)
    assert predictor.patch_px == patches.shape[1], f"it takes patches of {predictor.patch_px} px"
    before = patches.copy()
    values = predict_all(predictor, patches)
    assert values.shape == expected.shape, f"{count} patches gave {values.shape}"
    assert values.dtype == np.float32, f"probabilities came as {values.dtype}"
    assert values.shape[1:] or not predictor.feature_count, "features have columns"
    classes = values if not predictor.feature_count else values[:, : -predictor.feature_count]
    assert ((classes >= 0) & (classes <= 1)).all(), "there are probabilities outside 0 to 1"
    largest = float(np.abs(values - expected).max())
    assert largest <= tolerance, f"probabilities differ by {largest:.3g}"
    assert np.array_equal(patches, before), "it changed its input"
    locked = patches[:batch].copy()
    locked.flags.writeable = False
    assert np.array_equal(predictor.submit(locked).result(), values[:batch]), (
        "patches that nobody may write to have other answers"
    )
    for part in predictor.each(patches[:batch]):
        assert np.array_equal(part, values[:batch]), "a part of it answers differently"
    for index in range(count):
        alone = predictor.submit(patches[index : index + 1]).result()
        assert alone.shape == (1, *expected.shape[1:]), f"one patch gave {alone.shape}"
        if anywhere or index % batch == 0:
            assert np.array_equal(alone[0], values[index]), (
                f"patch {index} alone differs from in a batch"
            )

    def check_shuffled(seed: int) -> None:
        rng = np.random.default_rng(seed)
        chosen = rng.integers(0, count, int(rng.integers(1, batch + 1)))
        if not anywhere:
            # Each at its own place of a batch.
            starts = rng.integers(0, -(-count // batch), len(chosen)) * batch
            chosen = np.minimum(starts + np.arange(len(chosen)), count - 1)
        got = predictor.submit(patches[chosen]).result()
        kept = chosen % batch == np.arange(len(chosen)) if not anywhere else slice(None)
        same = np.array_equal(got[kept], values[chosen][kept])
        assert same, f"patches {chosen} differ in other company"

    for seed in range(4):
        check_shuffled(seed)
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(check_shuffled, range(4, 4 + 2 * _THREADS)):
            pass
    for wrong in (0, batch + 1):
        excess = np.zeros((wrong, *patches.shape[1:]), np.uint8)
        try:
            predictor.submit(excess)
        except ValueError:
            continue
        raise AssertionError(f"it took a batch of {wrong} patches")
    assert np.array_equal(predict_all(predictor, patches), values), "it differs after a refusal"
