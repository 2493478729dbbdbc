"""Fitting the head: cross-validation by groups, threshold and calibration, then all patches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsi_pipeline.lymph_node.features import Features, features_of
from wsi_pipeline.lymph_node.folds import FOLDS, folds_of
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
        head: On all patches.
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
    told.stage("cross-validation", FOLDS * MEMBERS)
    logits, neighbours = np.empty(len(tumour)), np.empty(len(tumour))
    for number in range(FOLDS):
        trained = np.flatnonzero(fold != number)
        head = train_head(views, tumour, trained.repeat(repeats[trained]), told.advanced)
        held_out = np.flatnonzero(fold == number)
        logits[held_out] = score(head, views[0][held_out])
        neighbours[held_out] = score(head, views[1][held_out])
    decision = decide(tumour, logits, ThresholdRule("youden"))
    told.stage("the head of all patches", MEMBERS)
    everything = np.arange(len(tumour))
    head = train_head(views, tumour, everything.repeat(repeats), told.advanced)
    names = np.concatenate([np.full(len(source), source.source) for source in sources])
    parts = {source.source: names == source.source for source in sources}
    metrics = _metrics(sources, parts, logits, neighbours, decision)
    return Fitted(head.half().float(), decision, metrics)


def _joined(parts: Sequence[Features]) -> Features:
    return Features(
        torch.cat([part.places for part in parts]), torch.cat([part.surround for part in parts])
    )


def _metrics(
    sources: Sequence[RealPatches],
    parts: Mapping[str, NDArray[np.bool_]],
    logits: NDArray[np.float64],
    neighbours: NDArray[np.float64],
    decision: Decision,
) -> dict[str, Any]:
    def told(scores: NDArray[np.float64]) -> dict[str, Any]:
        scaled = scores / decision.temperature
        return {
            source.source: worth_json(source, scaled[parts[source.source]], decision.threshold)
            for source in sources
        }

    # Of both sources: the alarm for other colours than these must know either.
    colours = summarise(
        np.array([patch_colours(patch) for source in sources for patch in source.pixels])
    )
    return {
        "patches": sum(map(len, sources)),
        "folds": FOLDS,
        "views": VIEWS,
        "held_out": told(logits),
        "held_out_other_colours_and_neighbours": told(neighbours),
        "calibration": calibration_json(
            np.concatenate([source.tumour for source in sources]), decision
        ),
        "colours": None if colours is None else asdict(colours),
    }
