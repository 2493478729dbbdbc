"""How well risks order survival times, some of which are only known to be longer."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def concordance_index(times: ArrayLike, events: ArrayLike, risks: ArrayLike) -> float:
    """Harrell's c-index (Harrell et al. 1982, JAMA 247:2543).

    Of all pairs in which it is known who had the event first, the share in which that one has the
    larger risk; equal risks count half. Of equal times, who had the event is before who was only
    observed until then.

    Memory: a few numbers for each pair.

    Args:
        times: Until the event, or the end of observation, ``(n,)``.
        events: Whether the event was seen, ``(n,)``.
        risks: Higher means earlier, ``(n,)``.

    Returns:
        0-1; NaN where no pair can be told.

    Raises:
        ValueError: the lengths differ, or a number is NaN.
    """
    when: NDArray[np.float64] = np.asarray(times, np.float64)
    seen = np.asarray(events).astype(bool)
    risk: NDArray[np.float64] = np.asarray(risks, np.float64)
    if not when.shape == seen.shape == risk.shape:
        raise ValueError(f"{when.size} times, {seen.size} events, {risk.size} risks")
    if np.isnan(when).any() or np.isnan(risk).any():
        raise ValueError("a time or a risk is NaN")
    later = (when[:, None] < when[None]) | ((when[:, None] == when[None]) & ~seen[None])
    pairs = seen[:, None] & later
    total = int(np.count_nonzero(pairs))
    if not total:
        return float("nan")
    larger = np.count_nonzero(pairs & (risk[:, None] > risk[None]))
    equal = np.count_nonzero(pairs & (risk[:, None] == risk[None]))
    return float((larger + equal / 2) / total)
