"""What the networks compute, in numpy: an answer of a slide needs a few products of matrices.

float32 throughout, as torch computes; both agree to 1e-5 (``tests/unit/slide_level``). The sources
are named in :mod:`~wsi_pipeline.slide_level.attention.networks`.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from wsi_pipeline.slide_level.attention.design import HeadDesign

Array = NDArray[np.float32]
Weights = Mapping[str, Array]

#: Tokens of ``transmil`` at most: of more tiles, runs of neighbours in plan order are averaged, for
#: every token looks at every other one.
MOST_TOKENS = 8192
#: Queries, or tiles, computed at once: 16 MiB of weights for the largest slide.
_AT_ONCE = 512
_EPSILON = 1e-5


def forward(design: HeadDesign, weights: Weights, bag: Array) -> tuple[Array, Array]:
    """What one network says of one slide.

    Memory: a few hundred numbers for each tile.

    Args:
        design: Kind and sizes.
        weights: By the names of :mod:`~wsi_pipeline.slide_level.attention.networks`.
        bag: Features of at least one tile, float32 ``(n, features)``.

    Returns:
        Logits ``(outputs,)``, and the attention of each tile, sum 1, ``(n,)``.
    """
    if design.kind == "transmil":
        return _transmil(design, weights, bag)
    hidden = _stem(weights, bag)
    if design.kind == "mean-pool":
        alike = np.full(len(bag), 1 / len(bag), np.float32)
        return _linear(weights, "out", hidden.mean(0)), alike
    gated = np.tanh(_linear(weights, "tanh", hidden)) * expit(_linear(weights, "gate", hidden))
    attention = _softmax(_linear(weights, "weigh", gated)[:, 0])
    return _linear(weights, "out", attention @ hidden), attention


def _stem(weights: Weights, bag: Array) -> Array:
    return np.maximum(_linear(weights, "stem", bag), 0)


def _transmil(design: HeadDesign, weights: Weights, bag: Array) -> tuple[Array, Array]:
    hidden = _stem(weights, bag)
    run = math.ceil(len(hidden) / MOST_TOKENS)
    starts = np.arange(0, len(hidden), run)
    lengths = np.diff(np.append(starts, len(hidden)))
    tokens = np.add.reduceat(hidden, starts, axis=0) / lengths[:, None].astype(np.float32)
    count, side = len(tokens), math.ceil(math.sqrt(len(tokens)))
    which = np.arange(side * side) % count
    values, _ = _layer(design, weights, "first", np.concatenate([weights["token"], tokens[which]]))
    square = values[1:].T.reshape(-1, side, side)
    placed = square + _depthwise(weights, square)
    values = np.concatenate([values[:1], placed.reshape(-1, side * side).T])
    last, looked = _layer(design, weights, "second", values, queries=1)
    shares = looked[1:] / looked[1:].sum()
    attention = np.bincount(which, shares, count)
    logits = _linear(weights, "out", _normalised(weights, "norm", last[0]))
    return logits, (attention / lengths).repeat(lengths).astype(np.float32)


def _layer(
    design: HeadDesign, weights: Weights, name: str, values: Array, queries: int | None = None
) -> tuple[Array, Array]:
    """See ``_Layer`` of the networks; only the first ``queries`` tokens, if it says how many."""
    width = design.hidden // design.heads
    inner = _normalised(weights, f"{name}.norm", values) @ weights[f"{name}.queries.weight"].T
    parts = inner.reshape(len(values), 3, design.heads, width).transpose(1, 2, 0, 3)
    query, key, value = (np.ascontiguousarray(part) for part in parts)
    wanted = len(values) if queries is None else queries
    mixed = np.empty((wanted, design.heads, width), np.float32)
    looked = np.zeros(len(values), np.float32)
    for head in range(design.heads):
        for rows in _runs(wanted):
            scores = query[head, rows] @ key[head].T / np.float32(math.sqrt(width))
            shares = _softmax(scores)
            mixed[rows, head] = shares @ value[head]
            if rows.start == 0:
                looked += shares[0] / np.float32(design.heads)
    sums = _linear(weights, f"{name}.mix", mixed.reshape(wanted, -1))
    return values[:wanted] + sums, looked


def _depthwise(weights: Weights, square: Array) -> Array:
    """The three convolutions of PPEG as one of the largest side; ``(width, side, side)``."""
    kernels = [weights[f"places.{number}.weight"][:, 0] for number in range(3)]
    largest = max(kernel.shape[-1] for kernel in kernels)
    whole = sum(np.pad(k, [(0, 0), *[((largest - k.shape[-1]) // 2,) * 2] * 2]) for k in kernels)
    bias = sum(weights[f"places.{number}.bias"] for number in range(3))
    margin, side = largest // 2, square.shape[-1]
    padded = np.pad(square, [(0, 0), (margin, margin), (margin, margin)])
    found = np.broadcast_to(np.asarray(bias)[:, None, None], square.shape).astype(np.float32)
    for down in range(largest):
        for right in range(largest):
            part = padded[:, down : down + side, right : right + side]
            found += np.asarray(whole)[:, down, right, None, None] * part
    return found


def _linear(weights: Weights, name: str, values: Array) -> Array:
    found: Array = values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return found


def _normalised(weights: Weights, name: str, values: Array) -> Array:
    mean, spread = values.mean(-1, keepdims=True), values.var(-1, keepdims=True)
    found: Array = (values - mean) / np.sqrt(spread + np.float32(_EPSILON))
    return found * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    found: Array = raised / raised.sum(-1, keepdims=True)
    return found


def _runs(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _AT_ONCE, count)) for start in range(0, count, _AT_ONCE))
