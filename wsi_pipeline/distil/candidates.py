"""Several networks, of which the one is kept that screens most.

The lowest score of a positive tile decides the limit, and where it lies differs much between
networks that differ by their seeds alone.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.distil.network import Examples, fit_network
from wsi_pipeline.distil.slides import AnsweredSlide
from wsi_pipeline.errors import UsageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.screen_section import ScreenedStain
from wsi_pipeline.screen.limits import ScoredSlide, choose_limit, group_stains
from wsi_pipeline.screen.network import Screen
from wsi_pipeline.screen.scoring import score_tiles

#: How many networks learn.
CANDIDATES = 4


@dataclass(slots=True)
class Candidate:
    """A network, and what it says of the validation slides.

    Attributes:
        arrays: Of the network.
        network: It, for use.
        scored: The slides so far.
    """

    arrays: dict[str, NDArray[np.float32]]
    network: Screen
    scored: list[ScoredSlide] = field(default_factory=list)

    def look(self, slide: AnsweredSlide) -> None:
        """Score a validation slide; tiles that cannot be read do not count."""
        threads = len(os.sched_getaffinity(0))
        scores = score_tiles(slide.reader, slide.plan, slide.level, self.network, threads=threads)
        known = ~np.isnan(scores)
        self.scored.append(
            ScoredSlide(slide.name, slide.colour, scores[known], slide.probabilities[known])
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The candidate that is kept.

    Attributes:
        arrays: Of its network.
        stains: Those that it has limits for.
        without: Why others have none, in words.
    """

    arrays: dict[str, NDArray[np.float32]]
    stains: tuple[ScreenedStain, ...]
    without: tuple[str, ...]

    @property
    def screened(self) -> float:
        """Validation tiles below the limits."""
        return sum(one.screened * one.tiles for one in self.stains)


def fit_candidates(
    package: ModelPackage,
    examples: Examples,
    *,
    steps: int,
    seed: int,
    told: Callable[[int, int], None],
) -> list[Candidate]:
    """Let all networks learn, one after the other.

    Args:
        package: The model.
        examples: What they learn from.
        steps: Batches for each.
        seed: Of the first; the next ones count on.
        told: Called with batches done and in all.
    """
    found: list[Candidate] = []
    for index in range(CANDIDATES):
        arrays = fit_network(
            examples,
            package.description.threshold.value,
            steps=steps,
            seed=seed + index,
            told=lambda done, of, before=index * steps: told(before + done, CANDIDATES * of),  # type: ignore[misc]  # mypy infers no type for a lambda's default
        )
        found.append(Candidate(arrays, Screen(arrays, package.folder)))
    return found


def choose(
    candidates: Sequence[Candidate], threshold: float, promise: float, confidence: float
) -> Chosen:
    """The candidate that screens most of the validation tiles.

    It is chosen on the slides that its limits are chosen on. Upper limits hold for all candidates
    together (Bonferroni), hence for whichever is chosen.

    Args:
        candidates: With the same slides scored.
        threshold: From which on the model calls a tile positive.
        promise: Share of the tiles called positive that may be lost.
        confidence: Of the upper limits.

    Raises:
        UsageError: no stain has enough positive tiles.
    """
    each = 1 - (1 - confidence) / len(candidates)
    found = [_limits(one, threshold, promise, each) for one in candidates]
    return max(found, key=lambda one: one.screened)


def _limits(candidate: Candidate, threshold: float, promise: float, confidence: float) -> Chosen:
    stains: list[ScreenedStain] = []
    without: list[str] = []
    groups = group_stains([one.colour for one in candidate.scored])
    for stain in np.unique(groups):
        own = [one for one, group in zip(candidate.scored, groups, strict=True) if group == stain]
        found = choose_limit(own, threshold, promise, confidence)
        if isinstance(found, str):
            names = ", ".join(one.name for one in own[:3])
            without.append(f"slides coloured as {names}: {found}")
        else:
            stains.append(found)
    if not stains:
        raise UsageError(f"no limit can be chosen: {'; '.join(without)}")
    return Chosen(candidate.arrays, tuple(stains), tuple(without))
