"""How many µm a slide's px measure, and which level shows them at the resolution asked for."""

from dataclasses import dataclass

from wsi_pipeline.errors import SlideMetadataError, UsageError
from wsi_pipeline.geometry import PLAUSIBLE_MPP, Mpp
from wsi_pipeline.slide.info import SlideInfo

#: What nearly every pathology scanner makes; outside it a person should look.
USUAL_MPP = (0.15, 1.1)
#: A level this near to the resolution asked for is used as it is.
LEVEL_TOLERANCE = 0.05
#: Enlarging more than this invents detail the scanner never saw.
MAX_ENLARGEMENT = 2.2


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolution of an analysis and where its px come from.

    Attributes:
        level: Pyramid level whose px are read.
        scale: Level px per analysis px: 1 where the level is used as it is, more where it is
            reduced, less where it is enlarged.
        mpp_0: µm per level-0 px.
        mpp: µm per analysis px.
        warnings: What a person should know of the choice.
    """

    level: int
    scale: float
    mpp_0: Mpp
    mpp: Mpp
    warnings: tuple[str, ...] = ()


def slide_mpp(info: SlideInfo, override: float | None = None) -> tuple[Mpp, tuple[str, ...]]:
    """µm per level-0 px, with warnings.

    Args:
        info: The slide.
        override: µm per level-0 px to believe instead of the file.

    Raises:
        SlideMetadataError: the file states none, or an implausible one, and there is no override.
        UsageError: the override itself is implausible.
    """
    low, high = PLAUSIBLE_MPP
    if override is not None:
        if not low <= override <= high:
            raise UsageError(f"--slide-mpp {override:g} is not between {low} and {high} µm/px")
        return Mpp(override, override), ()
    if info.mpp is None:
        raise SlideMetadataError(
            info.path,
            "states no resolution; give it with --slide-mpp (`slide_mpp`), µm per level-0 px",
        )
    if not (low <= info.mpp.x <= high and low <= info.mpp.y <= high):
        raise SlideMetadataError(
            info.path,
            f"states an implausible resolution of {info.mpp}; give the true one with --slide-mpp "
            "(`slide_mpp`), µm per level-0 px",
        )
    return info.mpp, tuple(_oddities(info.mpp, info.objective))


def choose_resolution(
    info: SlideInfo,
    *,
    mpp: float | None,
    level: int | None,
    override: float | None = None,
) -> Resolution:
    """Choose the level to read: the one asked for, or the one that fits ``mpp``.

    A level within 5 % of ``mpp`` is used as it is; else the next finer one is resampled.

    Args:
        info: The slide.
        mpp: Wanted µm per analysis px; ignored where ``level`` is given.
        level: Pyramid level to use as it is.
        override: µm per level-0 px to believe instead of the file.

    Raises:
        SlideMetadataError: the resolution is unknown or implausible, the level does not exist, or
            the slide has no detail at ``mpp``.
        UsageError: neither ``mpp`` nor ``level`` is given.
    """
    mpp_0, warnings = slide_mpp(info, override)
    if level is not None:
        if not 0 <= level < len(info.levels):
            raise SlideMetadataError(
                info.path, f"has levels 0 to {len(info.levels) - 1}, not {level}"
            )
        return Resolution(level, 1.0, mpp_0, mpp_0.scaled(info.levels[level].downsample), warnings)
    if mpp is None:
        raise UsageError("give the resolution with --mpp or --level")
    level_mpps = [mpp_0.mean * item.downsample for item in info.levels]
    nearest = min(range(len(level_mpps)), key=lambda i: abs(level_mpps[i] / mpp - 1))
    if abs(level_mpps[nearest] / mpp - 1) <= LEVEL_TOLERANCE:
        actual = mpp_0.scaled(info.levels[nearest].downsample)
        return Resolution(nearest, 1.0, mpp_0, actual, warnings)
    finer = [i for i, value in enumerate(level_mpps) if value <= mpp]
    source = finer[-1] if finer else 0
    scale = mpp / level_mpps[source]
    if scale < 1:
        if scale * MAX_ENLARGEMENT < 1:
            raise SlideMetadataError(
                info.path,
                f"its finest px are {level_mpps[0]:.3g} µm, too coarse for a model that wants "
                f"{mpp:.3g} µm; choose a coarser model, or --mpp {level_mpps[0]:.3g} to insist",
            )
        warnings += (
            f"enlarged {1 / scale:.2f}×: the slide's finest px are {level_mpps[0]:.3g} µm, "
            f"the model wants {mpp:.3g} µm",
        )
    return Resolution(source, scale, mpp_0, Mpp(mpp, mpp), warnings)


def _oddities(mpp: Mpp, objective: float | None) -> list[str]:
    warnings: list[str] = []
    low, high = USUAL_MPP
    if not low <= mpp.mean <= high:
        warnings.append(f"unusual resolution: {mpp}")
    if abs(mpp.x / mpp.y - 1) > 0.02:
        warnings.append(f"px are not square: {mpp}")
    # Rule of thumb of the field: 40× is 0.25 µm/px, 20× is 0.5.
    if objective and not 0.5 <= mpp.mean * objective / 10 <= 2:
        warnings.append(f"{mpp} does not fit the stated {objective:g}× objective")
    return warnings
