"""The screen in a run: which tiles the model is asked about, and a control of those it is not."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.model.package import ModelPackage
from wsi_pipeline.screen.colour import tissue_colour
from wsi_pipeline.screen.limits import stain_of
from wsi_pipeline.screen.loaded import screen_of
from wsi_pipeline.screen.scoring import score_tiles
from wsi_pipeline.screen.view import coarse_level
from wsi_pipeline.slide.reader import SlideReader
from wsi_pipeline.stitch.screen_record import ScreenRecord
from wsi_pipeline.tiles.plan import Coverage, Plan

#: Share of the tiles below the limit that are drawn at random for the model, but at least some.
CONTROL_SHARE = 0.02
_LEAST_CONTROLS = 8
#: Tiles next to the limit that the model is asked about too: there a broken promise shows first.
_NEAREST = 8


@dataclass(frozen=True, slots=True)
class Screening:
    """What the screen says of a plan.

    Attributes:
        whole: All tiles of tissue.
        asked: Which of them the model is asked about, ``(n,)``.
        control: Which of those the screen calls surely negative, ``(n,)``.
        drawn: Which of the controls were drawn at random, ``(n,)``: they stand for all that the
            screen calls surely negative.
        record: What a result says of it.
    """

    whole: Plan
    asked: NDArray[np.bool_]
    control: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    record: ScreenRecord

    @property
    def plan(self) -> Plan:
        """The tiles that the model is asked about."""
        asked = self.whole.without(~self.asked, Coverage.SCREENED)
        # Colours are those of all tissue, whatever the model is asked about.
        return replace(asked, sampled=self.whole.looked_at)

    def wrong(self, probabilities: NDArray[np.float32], threshold: float) -> int:
        """How many controls the model calls positive.

        Args:
            probabilities: Of the tiles of :attr:`plan`, ``(k,)``; NaN = unreadable.
            threshold: From which on they are.
        """
        controls = probabilities[self.control[self.asked]]
        return int(np.count_nonzero(controls >= np.float32(threshold)))

    def failed(self, wrong: int) -> "Screening":
        """Without it, because controls are positive.

        Args:
            wrong: How many.
        """
        reason = (
            f"the model calls {wrong} of {self.record.controls} control tiles positive that the "
            "screen calls surely negative"
        )
        record = replace(self.record, reason=reason, screened=0, wrong=wrong)
        none = np.zeros(len(self.whole), np.bool_)
        return Screening(self.whole, ~none, none, none, record)

    def of_all_tissue(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Numbers that are distributed as those of all tissue: drawn ones count several times.

        Args:
            values: Of the tiles of :attr:`plan`, ``(k,)``.
        """
        drawn = self.drawn[self.asked]
        if not drawn.any():
            return values
        stands_for = 1 + round((~self.asked).sum() / drawn.sum())
        return np.repeat(values, np.where(drawn, stands_for, 1))

    def spread(self, values: NDArray[np.float32], rest: float) -> NDArray[np.float32]:
        """Numbers of all tiles out of those of the asked ones.

        Args:
            values: Of the tiles of :attr:`plan`, ``(k,)``.
            rest: Of the others.

        Returns:
            In the order of :attr:`whole`, ``(n,)``.
        """
        found = np.full(len(self.whole), rest, np.float32)
        found[self.asked] = values
        return found


def screen_tiles(
    reader: SlideReader,
    plan: Plan,
    package: ModelPackage,
    analysis: AnalysisSettings,
    *,
    threads: int,
) -> Screening | None:
    """Ask the screen of a package about every tile.

    Args:
        reader: The slide.
        plan: Its tiles of tissue.
        package: The model.
        analysis: The settings.
        threads: That read and compute.

    Returns:
        None where the package has no screen, or it is off.

    Raises:
        PackageError: the screen's file is damaged.
    """
    section = package.description.screen
    if section is None or analysis.screen == "off":
        return None
    reason = _unusable(package, analysis, plan)
    level = coarse_level(reader, plan.grid)
    if not reason and level is None:
        reason = "the slide has no level coarse enough"
    if reason or level is None:
        return _everything(plan, section.promise, reason)
    colour = tissue_colour(reader, plan, level)
    stain = None if colour is None else stain_of(section, colour)
    if stain is None:
        reason = "the slide's colours are those of no stain that the screen was validated on"
        return _everything(plan, section.promise, reason)
    screen = screen_of(package)
    assert screen is not None  # the package says that it has one
    scores = score_tiles(reader, plan, level, screen, threads=threads)
    # NaN, of what could not be read, is not below.
    below = scores < stain.limit
    drawn, nearest = _controls(plan, scores, below)
    control = drawn | nearest
    record = ScreenRecord(
        promise=section.promise,
        upper=stain.upper,
        limit=stain.limit,
        bound=stain.bound,
        tiles=len(plan),
        screened=int(below.sum() - control.sum()),
        controls=int(control.sum()),
    )
    return Screening(plan, ~below | control, control, drawn, record)


def _unusable(package: ModelPackage, analysis: AnalysisSettings, plan: Plan) -> str:
    """Why the screen's promise does not hold for an analysis; empty where it does."""
    section = package.description.screen
    assert section is not None  # or nobody would ask
    threshold = analysis.threshold or package.description.threshold.value
    known = f"it was validated for thresholds from {section.threshold:g} on"
    overlapping = plan.grid.stride != plan.grid.patch or plan.grid.kind != "cover"
    found = {
        "no tile has tissue": not len(plan),
        known: threshold < section.threshold,
        "it answers for tiles side by side only": overlapping,
        "it was validated for one orientation": analysis.tta,
        "features of every tile are asked for": analysis.features != "off",
        "the package's answer for slides needs the features of every tile": package.needs_features,
    }
    return next((reason for reason, applies in found.items() if applies), "")


def _everything(plan: Plan, promise: float, reason: str) -> Screening:
    none = np.zeros(len(plan), np.bool_)
    record = ScreenRecord(reason=reason, promise=promise, tiles=len(plan))
    return Screening(plan, ~none, none, none, record)


def _controls(
    plan: Plan, scores: NDArray[np.float32], below: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Some tiles below the limit: by chance, and next to it, ``(n,)`` each.

    The same for the same plan: a run that is resumed goes on.
    """
    drawn, nearest = np.zeros(len(plan), np.bool_), np.zeros(len(plan), np.bool_)
    places = np.flatnonzero(below)
    count = min(len(places), max(_LEAST_CONTROLS, round(CONTROL_SHARE * len(places))))
    rng = np.random.default_rng(int(plan.sha256[:16], 16))
    drawn[rng.choice(places, count, replace=False)] = True
    nearest[places[np.argsort(-scores[places], kind="stable")[:_NEAREST]]] = True
    return drawn, nearest
