"""Fitting the head: cross-validation by groups, threshold and calibration, then one last test."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.lymph_node.features import Features, features_of
from wsi_pipeline.lymph_node.folds import FOLDS, TEST_FOLD, folds_of
from wsi_pipeline.lymph_node.network import Head
from wsi_pipeline.lymph_node.patches import RealPatches
from wsi_pipeline.lymph_node.training import MEMBERS, score, train_head
from wsi_pipeline.lymph_node.worth import calibration_json, worth_json
from wsi_pipeline.tissue.colours import patch_colours, summarise
from wsi_pipeline.training.operating_point import Decision, ThresholdRule, decide

#: Views of each patch that are trained on; the first is the patch as it is, and is scored.
VIEWS = 6
#: How often a patch of a source is trained on: few patches of another resolution must not drown.
REPEATS = {"lymph-node": 4}


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted.

    Attributes:
        head: On all patches but those of the test.
        decision: Temperature and threshold, from patches that the scoring head never saw.
        metrics: For ``metrics.json``.
    """

    head: Head
    decision: Decision
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is told of the fitting: a stage with its number of steps, then steps."""

    stage: Callable[[str, int], None] = lambda _, __: None
    advanced: Callable[[int], None] = lambda _: None


def fit(sources: Sequence[RealPatches], kept: Path, progress: Progress | None = None) -> Fitted:
    """Fit the head on all sources.

    Args:
        sources: Both of them.
        kept: Folder that keeps features, so that a fitting that was stopped goes on.
        progress: Told how far it is.

    Raises:
        PackageError: the trunk's weights are not installed.
    """
    told = progress or Progress()
    folds = [folds_of(source) for source in sources]
    told.stage("features", VIEWS * sum(map(len, sources)))
    views = [
        _joined(
            [
                features_of(source, view, fold, kept, told.advanced)
                for source, fold in zip(sources, folds, strict=True)
            ]
        )
        for view in range(VIEWS)
    ]
    tumour = np.concatenate([source.tumour for source in sources])
    fold = np.concatenate(folds)
    repeats = np.concatenate([np.full(len(s), REPEATS.get(s.source, 1)) for s in sources])
    rest = [number for number in range(FOLDS) if number != TEST_FOLD]
    told.stage("cross-validation", len(rest) * MEMBERS)
    logits, neighbours = np.full(len(tumour), np.nan), np.full(len(tumour), np.nan)
    for number in rest:
        trained = np.flatnonzero((fold != number) & (fold != TEST_FOLD))
        head = train_head(views, tumour, trained.repeat(repeats[trained]), told.advanced)
        held_out = np.flatnonzero(fold == number)
        logits[held_out] = score(head, views[0][held_out])
        neighbours[held_out] = score(head, views[1][held_out])
    fitted, tested = np.flatnonzero(fold != TEST_FOLD), np.flatnonzero(fold == TEST_FOLD)
    decision = decide(tumour[fitted], logits[fitted], ThresholdRule("youden"))
    told.stage("the head", MEMBERS)
    head = train_head(views, tumour, fitted.repeat(repeats[fitted]), told.advanced)
    head = head.half().float()  # as it is handed on
    last = np.full(len(tumour), np.nan)
    last[tested] = score(head, views[0][tested])
    worth = _Worth(sources, decision)
    metrics = {
        "patches": len(fitted),
        "folds": len(rest),
        "views": VIEWS,
        "held_out": worth.of(logits),
        "held_out_other_colours_and_neighbours": worth.of(neighbours),
        "test": worth.of(last),
        "calibration": calibration_json(tumour[fitted], decision),
        "colours": _colours(sources),
    }
    return Fitted(head, decision, metrics)


def _joined(parts: Sequence[Features]) -> Features:
    return Features(
        torch.cat([part.places for part in parts]), torch.cat([part.surround for part in parts])
    )


@dataclass(frozen=True, slots=True)
class _Worth:
    """Figures of each source, of the patches that have a logit."""

    sources: Sequence[RealPatches]
    decision: Decision

    def of(self, logits: NDArray[np.float64]) -> dict[str, Any]:
        found, begin = {}, 0
        for source in self.sources:
            part = logits[begin : begin + len(source)] / self.decision.temperature
            begin += len(source)
            known = np.flatnonzero(~np.isnan(part))
            if len(known):
                some = source.only(known)
                found[source.source] = worth_json(some, part[known], self.decision.threshold)
        return found


def _colours(sources: Sequence[RealPatches]) -> dict[str, Any] | None:
    """Of both sources: the alarm for other colours than these must know either."""
    found = summarise(
        np.array([patch_colours(patch) for source in sources for patch in source.pixels])
    )
    return None if found is None else asdict(found)
