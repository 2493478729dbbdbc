"""The map of a collection by a model's features, drawn by UMAP; mean images; similar pairs."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from wsi_pipeline.images.placement import Intake
from wsi_pipeline.images.reading import read_ahead
from wsi_pipeline.images.table import Row
from wsi_pipeline.model.input_description import ImageFit
from wsi_pipeline.page.document import data_uri

#: Images of a map, at most: each has a picture on the page.
MOST = 2000
#: Fewer have no map that says anything.
LEAST = 8
#: UMAP's usual number of neighbours (McInnes et al. 2018), and what it is given of each image.
_NEIGHBOURS, _COMPONENTS = 15, 50
_SEED = 0
#: Sides in px of a picture, and of a mean image.
_PICTURE, _MEAN = 96, 96
#: Pairs of different kinds that are shown, and neighbours among which they are looked for.
_PAIRS, _AMONG = 12, 10


@dataclass(frozen=True, slots=True)
class Point:
    """One image of the map.

    Attributes:
        row: Of the table.
        x: From left to right, 0-1.
        y: From top to bottom, 0-1.
        kind: Its label; where labels are missing its predicted class.
        picture: Small, as a data URI.
    """

    row: Row
    x: float
    y: float
    kind: str
    picture: str


@dataclass(frozen=True, slots=True)
class DataMap:
    """What is drawn of a collection.

    Attributes:
        points: At most :data:`MOST` images, in the order of the table.
        images: How many there are.
        labelled: Whether ``kind`` is the label; else it is the predicted class.
        means: Mean image and number of images, by kind and source (empty: not known).
        similar: Pairs of places in ``points``, of different kinds, the most alike first; each
            with its cosine similarity.
    """

    points: tuple[Point, ...]
    images: int
    labelled: bool
    means: Mapping[tuple[str, str], tuple[str, int]]
    similar: tuple[tuple[int, int, float], ...]


def draw_map(rows: Sequence[Row], features: Mapping[str, NDArray[np.float32]]) -> DataMap | None:
    """The map of the images that have features; None of fewer than :data:`LEAST`.

    Args:
        rows: Of the table.
        features: ``(features,)`` by SHA-256.
    """
    having = [
        row
        for row in rows
        if row.verdict is not None
        and row.outcome.answer is not None
        and row.outcome.answer.sha256 in features
    ]
    if len(having) < LEAST:
        return None
    # Evenly over the table, which is in the order of paths: every folder has its share.
    places = np.unique(np.linspace(0, len(having) - 1, MOST).round().astype(int))
    chosen = [having[place] for place in places]
    labelled = all(row.outcome.image.label for row in chosen)
    kinds = [_kind(row, labelled=labelled) for row in chosen]
    values = np.stack([features[row.outcome.answer.sha256] for row in chosen if row.outcome.answer])
    flat = project(values)
    pictures, means = _pictures(chosen, kinds)
    points = tuple(
        Point(row, float(x), float(y), kind, picture)
        for row, (x, y), kind, picture in zip(chosen, flat, kinds, pictures, strict=True)
    )
    return DataMap(points, len(having), labelled, means, similar_pairs(values, kinds))


def project(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Places in a square, 0-1, ``(n, 2)``: alike images lie near one another. Seeded.

    Args:
        values: Features ``(n, features)``, at least :data:`LEAST` images.
    """
    with warnings.catch_warnings():
        # That Tensorflow is missing, that seeded runs take one thread: nothing anybody can use.
        warnings.simplefilter("ignore")
        import umap  # noqa: PLC0415 - its import compiles, which takes seconds

        components = min(_COMPONENTS, *values.shape)
        reduced = PCA(components, random_state=_SEED).fit_transform(values.astype(np.float64))
        found = umap.UMAP(
            n_neighbors=min(_NEIGHBOURS, len(values) - 1),
            random_state=_SEED,
            n_jobs=1,
            # Few images have too few neighbours for the usual start from a spectrum.
            init="spectral" if len(values) > 4 * _NEIGHBOURS else "random",
        ).fit_transform(reduced)
    low, high = found.min(axis=0), found.max(axis=0)
    square: NDArray[np.float64] = (found - low) / np.maximum(high - low, 1e-9)
    return square


def similar_pairs(
    values: NDArray[np.float32], kinds: Sequence[str]
) -> tuple[tuple[int, int, float], ...]:
    """Pairs of images of different kinds that are most alike: places, and cosine similarity.

    Each image is in one pair at most.

    Args:
        values: Features ``(n, features)``, of two images or more.
        kinds: Of each image.
    """
    count = min(_AMONG, len(values) - 1)
    distance, near = NearestNeighbors(n_neighbors=count, metric="cosine").fit(values).kneighbors()
    pairs = sorted(
        (float(away), min(one, int(other)), max(one, int(other)))
        for one, (aways, others) in enumerate(zip(distance, near, strict=True))
        for away, other in zip(aways, others, strict=True)
        if kinds[one] != kinds[int(other)]
    )
    found: list[tuple[int, int, float]] = []
    used: set[int] = set()
    for away, one, other in pairs:
        if not used & {one, other}:
            used |= {one, other}
            found.append((one, other, 1 - away))
    return tuple(found[:_PAIRS])


def _kind(row: Row, *, labelled: bool) -> str:
    assert row.verdict is not None  # only such rows are drawn
    if labelled:
        return row.outcome.image.label or ""
    return " + ".join(row.verdict.called) or "none"


def _pictures(
    rows: Sequence[Row], kinds: Sequence[str]
) -> tuple[list[str], dict[tuple[str, str], tuple[str, int]]]:
    """A picture of each image, and the mean image of each kind and source."""
    sums: dict[tuple[str, str], NDArray[np.float64]] = {}
    counts: dict[tuple[str, str], int] = {}
    pictures = []
    reading = read_ahead(
        [row.outcome.image for row in rows], _MEAN, Intake(ImageFit(how="stretch")), ahead=64
    )
    for row, kind, read in zip(rows, kinds, reading, strict=True):
        if read.square is None:
            pictures.append("")
            continue
        group = kind, row.outcome.image.source or ""
        sums[group] = sums.get(group, np.zeros(read.square.shape)) + read.square
        counts[group] = counts.get(group, 0) + 1
        # In its own proportions again.
        image = Image.fromarray(read.square)
        scale = _PICTURE / max(read.width, read.height)
        size = max(1, round(read.width * scale)), max(1, round(read.height * scale))
        pictures.append(data_uri(np.asarray(image.resize(size)), 80))
    means = {
        group: (data_uri(np.rint(sums[group] / counts[group]).astype(np.uint8), 90), counts[group])
        for group in sorted(sums)
    }
    return pictures, means
