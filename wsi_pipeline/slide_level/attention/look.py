"""The answer of a package whose networks weigh the tiles, and where in a slide they look."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from wsi_pipeline.errors import PackageError
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.model.slide_level_section import SlideLevelSection
from wsi_pipeline.slide_level.answer import answer_of
from wsi_pipeline.slide_level.attention.answer import ask, ranked
from wsi_pipeline.slide_level.attention.head_file import HEADS, Heads, load_heads
from wsi_pipeline.slide_level.calibration import SlideCalibration
from wsi_pipeline.stitch.slide_answer_record import SlideAnswerRecord

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """What the networks say of a slide.

    Attributes:
        answer: For the record.
        attention: Rank of each tile, 0-1, float32 ``(n,)`` in plan order; NaN = unreadable. None
            of networks that weigh all tiles alike.
    """

    answer: SlideAnswerRecord
    attention: NDArray[np.float32] | None


def look(
    package: ModelPackage, features: Iterable[NDArray[np.float32]], alarms: Collection[str]
) -> Look:
    """Ask the package's networks.

    Memory: the features of all tiles.

    Args:
        package: One whose answer :attr:`~wsi_pipeline.model.package.ModelPackage.needs_features`.
        features: Of the tiles in plan order, in parts, float32 ``(n, features)``; NaN =
            unreadable.
        alarms: Codes of the result's alarms.

    Raises:
        PackageError: the networks do not fit the package.
    """
    section = package.description.slide_level
    assert section is not None
    heads, calibration = load_heads(package.folder / HEADS)
    parts = list(features)
    bag = np.concatenate(parts) if parts else np.empty((0, heads.design.features), np.float32)
    _check(package, section, heads, bag.shape[1])
    if calibration is None:
        raise PackageError(package.folder, f"{HEADS} holds no calibration; train the package anew")
    answer = ask(heads, bag)
    if answer is None:
        nothing = np.full(len(bag), np.nan, np.float32) if heads.design.attends else None
        return Look(answer_of(section, None, np.zeros((0, len(section.classes))), alarms), nothing)
    scores = log_softmax(answer.logits, axis=-1)
    probabilities = calibration.probabilities(scores.mean(axis=0)[None])[0]
    record = answer_of(section, probabilities, drawn_of(scores, calibration), alarms)
    return Look(record, ranked(answer.attention) if heads.design.attends else None)


def drawn_of(scores: Values, calibration: SlideCalibration) -> Values:
    """Probabilities that would have been had networks and slides been drawn again.

    Each drawing of the calibration's slides goes with a drawing of the networks, with replacement:
    how far these differ is what the choice of their training slides leaves open.

    Args:
        scores: Of each network, ``(members, classes)``.
        calibration: With its drawings.

    Returns:
        float64 ``(draws, classes)``.
    """
    draws, members = len(calibration.drawn), len(scores)
    chosen = np.random.default_rng(members).integers(0, members, (draws, members))
    return calibration.drawn_probabilities(scores[chosen].mean(axis=1))


def _check(package: ModelPackage, section: SlideLevelSection, heads: Heads, features: int) -> None:
    design = heads.design
    remedy = "train the package anew with wsi train --recipe"
    if (design.kind, design.outputs) != (section.kind, len(section.classes)):
        raise PackageError(
            package.folder,
            f"{HEADS} holds {design.kind} of {design.outputs} classes, model.yaml says "
            f"{section.kind} of {len(section.classes)}; {remedy}",
        )
    if design.features != features:
        raise PackageError(
            package.folder,
            f"{HEADS} needs {design.features:,} features of a tile, the package's network gives "
            f"{features:,}; was it trained on another encoder's? Else {remedy}",
        )
